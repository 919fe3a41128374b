"""the issues that actions follow."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | Sequence[str] | None = "0030"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TEXTS = {"issue_tracker": 20, "issue_key": 500, "issue_name": 400}


def upgrade() -> None:
    """Go to this version."""
    for name, length in _TEXTS.items():
        op.add_column("actions", sa.Column(name, sa.String(length=length), nullable=True))
    op.add_column("actions", sa.Column("issue_url", sa.Text(), nullable=True))
    op.add_column("actions", sa.Column("issue_closed", sa.Boolean(), nullable=True))
    op.create_index("ix_actions_issue_key", "actions", ["issue_key"])


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index("ix_actions_issue_key", table_name="actions")
    for name in ("issue_closed", "issue_url", *reversed(_TEXTS)):
        op.drop_column("actions", name)
