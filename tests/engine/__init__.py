"""The engine, asked fact by fact."""
