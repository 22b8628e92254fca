"""Bring the tables of an older store up to date; imported only when there is one.

Alembic carries out its scripts in `migrations/versions`. The transaction is the caller's: a crash
in the middle leaves what was there before.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(connection: sa.Connection) -> None:
    """Bring the database behind this connection to the newest revision."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def configuration() -> Config:
    """Tell Alembic where its scripts are."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config
