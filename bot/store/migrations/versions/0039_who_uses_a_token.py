"""whether a person, a pipeline or an agent uses a token, and which exemptions agents asked for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0039"
down_revision: str | Sequence[str] | None = "0038"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version; tokens that exist are those of pipelines."""
    op.add_column(
        "api_tokens", sa.Column("actor", sa.String(length=20), nullable=False, server_default="pipeline")
    )
    op.add_column(
        "exemption_requests",
        sa.Column("by_agent", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_column("exemption_requests", "by_agent")
    op.drop_column("api_tokens", "actor")
