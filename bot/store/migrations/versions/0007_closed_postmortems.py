"""closed postmortems."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("finished_at", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("incident_rooms", schema=None) as batch_op:
        batch_op.add_column(sa.Column("file_id", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("archived_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("earlier_channel_id", sa.String(length=20), nullable=True))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("incident_rooms", schema=None) as batch_op:
        batch_op.drop_column("earlier_channel_id")
        batch_op.drop_column("archived_at")
        batch_op.drop_column("file_id")

    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.drop_column("finished_at")
