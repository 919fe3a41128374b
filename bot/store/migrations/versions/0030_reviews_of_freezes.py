"""freezes and the reviews that both teams give them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0030"
down_revision: str | Sequence[str] | None = "0029"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "freeze_reviews",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service", sa.String(length=100), nullable=False),
        sa.Column("lasting", sa.String(length=100), nullable=True),
        sa.Column("hold_id", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.Column("escalated_at", sa.BigInteger(), nullable=True),
        sa.Column("work", sa.JSON(), nullable=False),
        sa.Column("development_by", sa.String(length=100), nullable=True),
        sa.Column("development_at", sa.BigInteger(), nullable=True),
        sa.Column("reliability_by", sa.String(length=100), nullable=True),
        sa.Column("reliability_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freeze_reviews")),
        sa.UniqueConstraint("lasting", name=op.f("uq_freeze_reviews_lasting")),
    )
    op.create_index("ix_freeze_reviews_service", "freeze_reviews", ["service"])


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index("ix_freeze_reviews_service", table_name="freeze_reviews")
    op.drop_table("freeze_reviews")
