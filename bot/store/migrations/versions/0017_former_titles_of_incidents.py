"""former titles of incidents, and whether a person renamed them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | Sequence[str] | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("incidents", sa.Column("former_titles", sa.JSON(), nullable=True))
    op.add_column(
        "incidents", sa.Column("is_renamed", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Go back to the version before.

    Without a batch: that drops the table on SQLite, and with it the rows of others that belong to it.
    """
    op.drop_column("incidents", "is_renamed")
    op.drop_column("incidents", "former_titles")
