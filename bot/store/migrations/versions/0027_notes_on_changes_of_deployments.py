"""notes on changes of deployments."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0027"
down_revision: str | Sequence[str] | None = "0026"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("deployments", sa.Column("changes_note", sa.String(length=300), nullable=True))
    op.add_column("deployment_changes", sa.Column("reverts", sa.String(length=200), nullable=True))
    op.create_index("ix_deployments_service_finished_at", "deployments", ["service", "finished_at"])


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index("ix_deployments_service_finished_at", table_name="deployments")
    op.drop_column("deployment_changes", "reverts")
    op.drop_column("deployments", "changes_note")
