"""Build the tables of a store, or bring old ones up to date; imported only when it must be.

Alembic's scripts in `migrations/versions` are carried out in one transaction, with the right to
write taken first: of several processes that open a new store at once, one builds it and the others
find it built. A crash in the middle leaves what was there before.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy.pool import StaticPool

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database behind this connection to the newest revision."""
    # Alembic wants SQLAlchemy's kind of connection: here is one around ours, which stays ours.
    engine = sqlalchemy.create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    sqlalchemy.event.listen(engine, "begin", _take_the_right_to_write)
    with engine.begin() as core:
        config = configuration()
        config.attributes["connection"] = core
        command.upgrade(config, "head")


def configuration() -> Config:
    """Tell Alembic where its scripts are."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _take_the_right_to_write(core: sqlalchemy.Connection) -> None:
    core.exec_driver_sql("BEGIN IMMEDIATE")
