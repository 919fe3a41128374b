"""changes that have begun to take traffic."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0036"
down_revision: str | Sequence[str] | None = "0035"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "begun_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service", sa.String(length=100), nullable=False),
        sa.Column("change", sa.String(length=200), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("told_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_begun_changes")),
        sa.UniqueConstraint("service", "change", name=op.f("uq_begun_changes_service_change")),
    )
    op.create_index(op.f("ix_begun_changes_began_at"), "begun_changes", ["began_at"])


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index(op.f("ix_begun_changes_began_at"), table_name="begun_changes")
    op.drop_table("begun_changes")
