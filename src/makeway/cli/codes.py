"""Name the exit codes that no error has: how what was awaited has ended (docs/cli.md has them all)."""

from __future__ import annotations

ENDED_BADLY, TOO_LATE, NEVER, CTRL_C = 5, 6, 8, 130
