"""Load the configuration as a command that runs here and now finds it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from makeway.live.config import Config, load


def configured(flags: Mapping[str, object], *, cluster: bool = True) -> Config:
    """Load it; `flags` are the options that were given, by the names of what they set."""
    return load(flags, os.environ, Path.cwd(), Path.home(), cluster=cluster)
