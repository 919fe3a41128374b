"""freeze windows that people planned in Slack."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0041"
down_revision: str | Sequence[str] | None = "0039"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "freeze_schedules",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team", sa.String(length=20)),
        sa.Column("services", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("start", sa.String(length=30), nullable=False),
        sa.Column("time_zone", sa.String(length=100), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(length=200)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.String(length=200)),
        sa.Column("removed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freeze_schedules")),
        sa.UniqueConstraint("request", name=op.f("uq_freeze_schedules_request")),
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("freeze_schedules")
