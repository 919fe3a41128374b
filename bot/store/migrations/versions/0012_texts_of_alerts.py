"""texts of alerts, of which the title of their incident is made."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | Sequence[str] | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("incident_alerts", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("incident_alerts", sa.Column("summary", sa.Text(), nullable=True))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("incident_alerts", schema=None) as batch_op:
        batch_op.drop_column("summary")
        batch_op.drop_column("name")
