"""The tables of flags in motion."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "flag_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request", sa.String(length=200), nullable=True),
        sa.Column("flag", sa.String(length=100), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("change", sa.JSON(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("approved_by", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("keep_for", sa.Double(), nullable=True),
        sa.Column("ramp_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("promise_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("service", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_changes")),
        sa.UniqueConstraint("request", name=op.f("uq_flag_changes_request")),
    )
    with op.batch_alter_table("flag_changes", schema=None) as batch_op:
        batch_op.create_index("ix_flag_changes_flag_environment", ["flag", "environment"], unique=False)
        batch_op.create_index(batch_op.f("ix_flag_changes_state"), ["state"], unique=False)
        batch_op.create_index(
            "uq_flag_changes_sending",
            ["flag", "environment"],
            unique=True,
            sqlite_where=sa.text("state = 'sending'"),
            postgresql_where=sa.text("state = 'sending'"),
        )

    op.create_table(
        "flag_promises",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("flag", sa.String(length=100), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("service", sa.String(length=100), nullable=True),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("warn_at", sa.BigInteger(), nullable=True),
        sa.Column("guard_burn", sa.Double(), nullable=True),
        sa.Column("guard_watch", sa.Double(), nullable=True),
        sa.Column("baseline", sa.JSON(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_promises")),
    )
    with op.batch_alter_table("flag_promises", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_flag_promises_ended_at"), ["ended_at"], unique=False)
        batch_op.create_index("ix_flag_promises_flag_environment", ["flag", "environment"], unique=False)

    op.create_table(
        "flag_ramps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request", sa.String(length=200), nullable=True),
        sa.Column("flag", sa.String(length=100), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("service", sa.String(length=100), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=True),
        sa.Column("every", sa.Double(), nullable=False),
        sa.Column("guard_burn", sa.Double(), nullable=False),
        sa.Column("guard_watch", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("held_by", sa.String(length=100), nullable=True),
        sa.Column("hold_cause", sa.String(length=20), nullable=True),
        sa.Column("hold_why", sa.Text(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("approved_by", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_ramps")),
        sa.UniqueConstraint("request", name=op.f("uq_flag_ramps_request")),
    )
    with op.batch_alter_table("flag_ramps", schema=None) as batch_op:
        batch_op.create_index(
            "uq_flag_ramps_live",
            ["flag", "environment"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "flag_sightings",
        sa.Column("flag", sa.String(length=100), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flag", "environment", name=op.f("pk_flag_sightings")),
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("flag_sightings")
    with op.batch_alter_table("flag_ramps", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_flag_ramps_live",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.drop_table("flag_ramps")
    with op.batch_alter_table("flag_promises", schema=None) as batch_op:
        batch_op.drop_index("ix_flag_promises_flag_environment")
        batch_op.drop_index(batch_op.f("ix_flag_promises_ended_at"))

    op.drop_table("flag_promises")
    with op.batch_alter_table("flag_changes", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_flag_changes_sending",
            sqlite_where=sa.text("state = 'sending'"),
            postgresql_where=sa.text("state = 'sending'"),
        )
        batch_op.drop_index(batch_op.f("ix_flag_changes_state"))
        batch_op.drop_index("ix_flag_changes_flag_environment")

    op.drop_table("flag_changes")
