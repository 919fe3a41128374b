"""exemptions are bound to a commit, proven, and used once."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0035"
down_revision: str | Sequence[str] | None = "0034"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_BOTH = ("exemptions", "exemption_requests")


def upgrade() -> None:
    """Go to this version."""
    for table in _BOTH:
        op.add_column(table, sa.Column("commit", sa.String(length=200), nullable=True))
        op.add_column(table, sa.Column("kind", sa.String(length=200), nullable=True))
        op.add_column(table, sa.Column("proof", sa.String(length=500), nullable=True))
    op.add_column("exemption_requests", sa.Column("until", sa.BigInteger(), nullable=True))
    op.add_column("exemptions", sa.Column("claimed_at", sa.BigInteger(), nullable=True))
    op.add_column("exemptions", sa.Column("used_at", sa.BigInteger(), nullable=True))
    op.add_column("exemptions", sa.Column("used_for", sa.String(length=200), nullable=True))


def downgrade() -> None:
    """Go back to the version before."""
    for column in ("used_for", "used_at", "claimed_at"):
        op.drop_column("exemptions", column)
    op.drop_column("exemption_requests", "until")
    for table in _BOTH:
        for column in ("proof", "kind", "commit"):
            op.drop_column(table, column)
