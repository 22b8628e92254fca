"""Say what all tables have in common: one collection, and the types that both databases know."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData
from sqlalchemy import Text as AnyText

metadata = MetaData()

# On SQLite only INTEGER is another name of the row's own number, which costs nothing to keep.
Number = BigInteger().with_variant(Integer(), "sqlite")
# On PostgreSQL text sorts by its bytes, as it does on SQLite: ids and keys mean no language.
Text = AnyText().with_variant(AnyText(collation="C"), "postgresql")
Json = Text
