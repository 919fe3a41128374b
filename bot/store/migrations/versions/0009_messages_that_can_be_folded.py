"""messages that can be folded into one, and that leave room for others."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("outbox", sa.Column("brief", sa.Text(), nullable=True))
    op.add_column("outbox", sa.Column("is_bulk", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_column("is_bulk")
        batch_op.drop_column("brief")
