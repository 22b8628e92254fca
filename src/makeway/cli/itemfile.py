"""Read a file that a person wrote, in the format that its name says: TOML, or YAML and JSON."""

from __future__ import annotations

from pathlib import Path

from makeway.intake.located import Item


def read_items(path: str) -> Item:
    """Read a file into items that know their lines."""
    if Path(path).suffix == ".toml":
        from makeway.intake.toml import read_toml
        from makeway.live.config import text_of

        return read_toml(text_of(Path(path)), path)
    from makeway.cli.yamlfile import read

    return read(path)
