"""Alembic's entry: runs the migrations on the connection, and in the transaction, that the schema module gives."""

from alembic import context

from loopsmith.tracker.schema import VERSION_TABLE
from loopsmith.tracker.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
