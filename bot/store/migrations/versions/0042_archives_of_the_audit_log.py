"""archives of the audit log, and indexes of what expires."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0042"
down_revision: str | Sequence[str] | None = "0041"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# By these columns retention finds what has expired; by its subject the log is searched for a flag.
_INDEXES = (
    ("adjustments", "ends_at"),
    ("audit", "subject"),
    ("due_tasks", "ended_at"),
    ("exemption_requests", "asked_at"),
    ("exemptions", "until"),
    ("exemptions", "used_at"),
    ("flag_changes", "settled_at"),
    ("flag_ramps", "ended_at"),
    ("flag_sightings", "seen_at"),
    ("forecasts", "made_on"),
    ("freeze_reviews", "ended_at"),
    ("gate_calls", "at"),
    ("gate_waits", "ended_at"),
    ("holds", "lifted_at"),
    ("known_services", "gone_at"),
    ("outbox", "state", "created_at"),
    ("slos", "seen_at"),
    ("threads", "ended_at"),
    ("threads", "touched_at"),
)


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "audit_archives",
        sa.Column("row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_audit_archives")),
    )
    op.add_column("known_services", sa.Column("gone_at", sa.BigInteger()))
    for table, *columns in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)


def downgrade() -> None:
    """Go back to the version before."""
    for table, *columns in _INDEXES:
        op.drop_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table_name=table)
    with op.batch_alter_table("known_services") as batch:
        batch.drop_column("gone_at")
    op.drop_table("audit_archives")
