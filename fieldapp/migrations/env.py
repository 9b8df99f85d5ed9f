"""What Alembic runs: the revisions, in the one transaction that was handed in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
