"""which incident a duplicate was merged into."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021"
down_revision: str | Sequence[str] | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("incidents", sa.Column("merged_into", row_id, nullable=True))


def downgrade() -> None:
    """Go back to the version before; without a batch, which would drop the table on SQLite."""
    op.drop_column("incidents", "merged_into")
