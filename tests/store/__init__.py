"""Show what the store keeps, and that it keeps it."""
