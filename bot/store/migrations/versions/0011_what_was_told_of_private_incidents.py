"""what was told elsewhere of incidents that are private already is edited."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | Sequence[str] | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_INCIDENTS = sa.table("incidents", sa.column("id", sa.BigInteger()), sa.column("private", sa.Boolean()))
_STEPS = sa.table(
    "incident_steps",
    sa.column("incident_id", sa.BigInteger()),
    sa.column("room", sa.String()),
    sa.column("name", sa.String()),
    sa.column("subject", sa.String()),
    sa.column("state", sa.String()),
    sa.column("attempts", sa.Integer()),
)


def upgrade() -> None:
    """Go to this version."""
    step = [sa.literal(value) for value in ("incident", "hide", "", "pending")]
    private = sa.select(_INCIDENTS.c.id, *step, sa.literal(0)).where(_INCIDENTS.c.private.is_(True))
    op.execute(
        _STEPS.insert().from_select(["incident_id", "room", "name", "subject", "state", "attempts"], private)
    )


def downgrade() -> None:
    """Go back to the version before, which does not know the step."""
    op.execute(_STEPS.delete().where(_STEPS.c.name == "hide"))
