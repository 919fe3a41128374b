"""what was posted is found by its place in Slack; a task's kind has the longest name of a webhook in it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0045"
down_revision: str | Sequence[str] | None = "0044"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.create_index("ix_outbox_ts", "outbox", ["ts"])
    with op.batch_alter_table("due_tasks") as batch:
        batch.alter_column("kind", existing_type=sa.String(60), type_=sa.String(100), existing_nullable=False)


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("due_tasks") as batch:
        batch.alter_column("kind", existing_type=sa.String(100), type_=sa.String(60), existing_nullable=False)
    op.drop_index("ix_outbox_ts", "outbox")
