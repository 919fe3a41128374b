"""tasks that are due, and what deployments carried and caused."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0025"
down_revision: str | Sequence[str] | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _columns() -> Sequence[sa.Column[Any]]:
    return (
        sa.Column("actor", sa.String(length=20), server_default="pipeline", nullable=False),
        sa.Column("run", sa.String(length=200), nullable=True),
        sa.Column("previous_commit", sa.String(length=64), nullable=True),
        sa.Column("changes_state", sa.String(length=20), server_default="unknown", nullable=False),
        sa.Column("changes", sa.Integer(), nullable=True),
        sa.Column("lines_changed", sa.Integer(), nullable=True),
        sa.Column("undoes", sa.String(length=200), nullable=True),
        sa.Column("rework", sa.String(length=300), nullable=True),
    )


def upgrade() -> None:
    """Go to this version."""
    for column in _columns():
        op.add_column("deployments", column)
    op.create_table(
        "deployment_changes",
        sa.Column("service", sa.String(length=100), nullable=False),
        sa.Column("deployment", sa.String(length=200), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("change", sa.String(length=200), nullable=True),
        sa.Column("authored_at", sa.BigInteger(), nullable=True),
        sa.Column("merged_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("service", "deployment", "commit", name=op.f("pk_deployment_changes")),
    )
    op.create_table(
        "deployment_incidents",
        sa.Column("service", sa.String(length=100), nullable=False),
        sa.Column("deployment", sa.String(length=200), nullable=False),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_means", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("removed_by", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["incidents.id"],
            name=op.f("fk_deployment_incidents_incident_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("service", "deployment", "incident_id", name=op.f("pk_deployment_incidents")),
    )
    op.create_index("ix_deployment_incidents_incident_id", "deployment_incidents", ["incident_id"])
    op.create_table(
        "due_tasks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_due_tasks")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_due_tasks_kind_key")),
    )
    op.create_index("ix_due_tasks_state_next_attempt_at", "due_tasks", ["state", "next_attempt_at"])


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index("ix_due_tasks_state_next_attempt_at", table_name="due_tasks")
    op.drop_table("due_tasks")
    op.drop_index("ix_deployment_incidents_incident_id", table_name="deployment_incidents")
    op.drop_table("deployment_incidents")
    op.drop_table("deployment_changes")
    with op.batch_alter_table("deployments") as table:
        for column in reversed(_columns()):
            table.drop_column(column.name)
