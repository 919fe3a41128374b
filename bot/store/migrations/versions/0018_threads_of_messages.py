"""threads of messages, whose head is kept up to date."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import bot.store.tables.core

revision: str = "0018"
down_revision: str | Sequence[str] | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "threads",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("channel", sa.String(length=100), nullable=False),
        sa.Column("channel_id", sa.String(length=20), nullable=True),
        sa.Column("ts", sa.String(length=30), nullable=True),
        sa.Column("began", sa.Text(), nullable=True),
        sa.Column("opened_at", bot.store.tables.core.Instant(), nullable=False),
        sa.Column("touched_at", bot.store.tables.core.Instant(), nullable=False),
        sa.Column("ended_at", bot.store.tables.core.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_threads")),
    )
    with op.batch_alter_table("threads", schema=None) as batch_op:
        batch_op.create_index("ix_threads_subject_ended_at", ["subject", "ended_at"], unique=False)
    op.add_column("outbox", sa.Column("thread_id", sa.BigInteger(), nullable=True))
    op.add_column("outbox", sa.Column("head", sa.JSON(), nullable=True))
    for name in ("is_broadcast", "is_edit"):
        op.add_column("outbox", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        for name in ("is_edit", "is_broadcast", "head", "thread_id"):
            batch_op.drop_column(name)
    op.drop_table("threads")
