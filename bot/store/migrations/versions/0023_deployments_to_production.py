"""which deployments were to production."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0023"
down_revision: str | Sequence[str] | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version; of deployments that are stored already only the environment's name says it."""
    op.add_column(
        "deployments", sa.Column("production", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute("UPDATE deployments SET production = (lower(environment) = 'production')")


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_column("deployments", "production")
