"""how late events come, and how late a source was said to be when they were read."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0044"
down_revision: str | Sequence[str] | None = "0043"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    with op.batch_alter_table("slos") as batch:
        batch.add_column(sa.Column("delay_s", sa.Integer()))
        batch.add_column(sa.Column("late_s", sa.Integer()))
        batch.add_column(sa.Column("late_at", sa.BigInteger()))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("slos") as batch:
        batch.drop_column("late_at")
        batch.drop_column("late_s")
        batch.drop_column("delay_s")
