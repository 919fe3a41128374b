"""rotations of a developer and an SRE."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0029"
down_revision: str | Sequence[str] | None = "0028"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLES = (
    "rotation_periods",
    "rotation_turns",
    "rotation_absences",
    "rotation_swaps",
    "rotation_calendars",
)


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "rotation_periods",
        sa.Column("rotation", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("rotation", "number", name=op.f("pk_rotation_periods")),
    )
    op.create_table(
        "rotation_turns",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rotation", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=20), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rotation_turns")),
    )
    op.create_index("ix_rotation_turns_rotation_number", "rotation_turns", ["rotation", "number"])
    op.create_table(
        "rotation_absences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team", sa.String(length=20), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(length=100), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rotation_absences")),
    )
    op.create_index("ix_rotation_absences_team_person", "rotation_absences", ["team", "person"])
    op.create_table(
        "rotation_swaps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rotation", sa.String(length=63), nullable=False),
        sa.Column("side", sa.String(length=20), nullable=False),
        sa.Column("first_number", sa.Integer(), nullable=False),
        sa.Column("first_person", sa.String(length=100), nullable=False),
        sa.Column("later_number", sa.Integer(), nullable=False),
        sa.Column("later_person", sa.String(length=100), nullable=False),
        sa.Column("asked_by", sa.String(length=100), nullable=False),
        sa.Column("asked_of", sa.String(length=100), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rotation_swaps")),
    )
    op.create_index(op.f("ix_rotation_swaps_rotation"), "rotation_swaps", ["rotation"])
    op.create_table(
        "rotation_calendars",
        sa.Column("rotation", sa.String(length=63), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rotation", name=op.f("pk_rotation_calendars")),
    )


def downgrade() -> None:
    """Go back to the version before."""
    for table in _TABLES:
        op.drop_table(table)
