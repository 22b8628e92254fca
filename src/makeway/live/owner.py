"""Name the person in whose name this process acts."""

from __future__ import annotations

import os
import pwd


def user_name() -> str:
    """Give the login name of the process's user; its number if it has none."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
