"""the traces that messages belong to."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0043"
down_revision: str | Sequence[str] | None = "0042"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    with op.batch_alter_table("outbox") as batch:
        batch.add_column(sa.Column("trace_parent", sa.String(length=55)))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("outbox") as batch:
        batch.drop_column("trace_parent")
