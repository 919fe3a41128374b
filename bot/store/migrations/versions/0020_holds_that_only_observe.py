"""holds that only observe."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | Sequence[str] | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("holds", sa.Column("observed", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Go back to the version before, which knows no holds that stop nothing."""
    op.execute("DELETE FROM holds WHERE observed")
    op.drop_column("holds", "observed")
