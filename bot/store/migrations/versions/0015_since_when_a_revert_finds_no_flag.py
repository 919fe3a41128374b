"""since when a pending revert finds no flag to restore."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | Sequence[str] | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("flag_promises", sa.Column("absent_since", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("flag_promises", schema=None) as batch_op:
        batch_op.drop_column("absent_since")
