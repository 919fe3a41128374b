"""the newest sample of sources that lag behind."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | Sequence[str] | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    with op.batch_alter_table("slos", schema=None) as batch_op:
        batch_op.add_column(sa.Column("newest", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("slos", schema=None) as batch_op:
        batch_op.drop_column("newest")
