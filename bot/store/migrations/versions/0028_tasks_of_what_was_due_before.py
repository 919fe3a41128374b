"""tasks for what waits for its time already: ends of holds, reverts of flags, reminders of incidents."""

import time
from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from alembic import op

revision: str = "0028"
down_revision: str | Sequence[str] | None = "0027"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TASKS = sa.table(
    "due_tasks",
    sa.column("kind", sa.String()),
    sa.column("key", sa.String()),
    sa.column("due_at", sa.BigInteger()),
    sa.column("next_attempt_at", sa.BigInteger()),
    sa.column("payload", sa.JSON()),
    sa.column("state", sa.String()),
    sa.column("created_at", sa.BigInteger()),
)
_HOLDS = """
    SELECT 'hold expiry' AS kind, id, until AS due_at, service FROM holds
    WHERE lifted_at IS NULL AND until IS NOT NULL
"""
_TIMERS = """
    SELECT 'timed revert' AS kind, id, until AS due_at, NULL AS service FROM flag_promises
    WHERE kind = 'timer' AND ended_at IS NULL AND until IS NOT NULL
"""
_WARNINGS = """
    SELECT 'timed revert warning' AS kind, id, warn_at AS due_at, NULL AS service FROM flag_promises
    WHERE kind = 'timer' AND ended_at IS NULL AND warn_at IS NOT NULL
"""
# Whoever does these looks what is due.
_REMINDERS = """
    SELECT 'incident reminders' AS kind, id, CAST(:now AS BIGINT) AS due_at, NULL AS service FROM incidents
    WHERE status NOT IN ('resolved', 'cancelled', 'merged')
"""
_COST_CHECKS = """
    SELECT 'incident cost check' AS kind, id, CAST(:now AS BIGINT) AS due_at, NULL AS service FROM incidents
    WHERE status = 'resolved' AND postmortem_at IS NULL AND resolved_at > :day_ago
"""
_ACTIONS = """
    SELECT 'action due' AS kind, id, due AS due_at, NULL AS service FROM actions
    WHERE done_at IS NULL AND owner IS NOT NULL AND due IS NOT NULL AND reminded_at IS NULL
"""


_DAY_US = 86_400_000_000


def upgrade() -> None:
    """Go to this version."""
    connection = op.get_bind()
    now = int(time.time() * 1_000_000)
    for query in (_HOLDS, _TIMERS, _WARNINGS, _REMINDERS, _COST_CHECKS, _ACTIONS):
        rows = connection.execute(sa.text(query), {"now": now, "day_ago": now - _DAY_US}).mappings().all()
        tasks = [_task(row, now) for row in rows]
        if tasks:
            connection.execute(_TASKS.insert(), tasks)


def downgrade() -> None:
    """Go back to the version before, whose loops look at the same rows themselves."""
    kinds = (
        "hold expiry",
        "timed revert",
        "timed revert warning",
        "incident reminders",
        "incident cost check",
        "action due",
    )
    op.execute(_TASKS.delete().where(_TASKS.c.kind.in_(kinds)))


def _task(row: sa.RowMapping, now: int) -> dict[str, object]:
    due_at = row["due_at"]
    if not isinstance(due_at, int):
        day = due_at if isinstance(due_at, date) else date.fromisoformat(due_at)
        due_at = (day - date(1970, 1, 1)).days * _DAY_US
    return {
        "kind": row["kind"],
        "key": str(row["id"]),
        "due_at": due_at,
        "next_attempt_at": due_at,
        "payload": {} if row["service"] is None else {"service": row["service"]},
        "state": "pending",
        "created_at": now,
    }
