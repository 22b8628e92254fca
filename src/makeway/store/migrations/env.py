"""Run the migrations on the connection that `makeway.store.migrate` hands over.

Alembic executes this file. The transaction belongs to the caller, who commits all or nothing.
"""

from __future__ import annotations

from alembic import context

from makeway.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
