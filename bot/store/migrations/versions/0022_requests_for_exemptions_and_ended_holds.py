"""requests for exemptions, comments of approvals, and which hold a message is about."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | Sequence[str] | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "exemption_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service", sa.String(length=100), nullable=False),
        sa.Column("change", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("keep_for", sa.Double(), nullable=True),
        sa.Column("request", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("decided_by", sa.String(length=100), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exemption_requests")),
        sa.UniqueConstraint("request", name=op.f("uq_exemption_requests_request")),
    )
    op.create_index(op.f("ix_exemption_requests_service"), "exemption_requests", ["service"], unique=False)
    op.add_column("flag_changes", sa.Column("approval_comment", sa.Text(), nullable=True))
    op.add_column("outbox", sa.Column("hold_id", sa.BigInteger(), nullable=True))
    op.add_column("outbox", sa.Column("edits", sa.BigInteger(), nullable=True))
    op.create_index("ix_outbox_hold_id", "outbox", ["hold_id"], unique=False)


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index("ix_outbox_hold_id", table_name="outbox")
    op.drop_column("outbox", "edits")
    op.drop_column("outbox", "hold_id")
    op.drop_column("flag_changes", "approval_comment")
    op.drop_table("exemption_requests")
