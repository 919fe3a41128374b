"""forecasts and how good they were."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | Sequence[str] | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "forecasts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service", sa.String(length=100), nullable=False),
        sa.Column("slo", sa.String(length=100), nullable=False),
        sa.Column("promise", sa.String(length=64), nullable=False),
        sa.Column("made_on", sa.BigInteger(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("middle", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("spread", sa.Double(), nullable=False),
        sa.Column("exhausted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("remaining", sa.Double(), nullable=True),
        sa.Column("scored_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forecasts")),
        sa.UniqueConstraint(
            "service",
            "slo",
            "made_on",
            "horizon_days",
            name=op.f("uq_forecasts_service_slo_made_on_horizon_days"),
        ),
    )
    op.create_index("ix_forecasts_scored_at_due_at", "forecasts", ["scored_at", "due_at"])
    op.create_table(
        "forecast_scores",
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("scored", sa.Integer(), nullable=False),
        sa.Column("brier", sa.Double(), nullable=False),
        sa.Column("skill", sa.Double(), nullable=True),
        sa.Column("coverage", sa.Double(), nullable=False),
        sa.Column("spread", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "day", name=op.f("pk_forecast_scores")),
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("forecast_scores")
    op.drop_index("ix_forecasts_scored_at_due_at", table_name="forecasts")
    op.drop_table("forecasts")
