"""The label values that were discovered for `forEach`; all replicas read the same, also after a restart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from bot.store.database import Database
from bot.store.tables.label_values import label_values as table


@dataclass(frozen=True, slots=True)
class LabelValueRow:
    """One value of one document's label; `gone_at` is when it was first missed."""

    document: str
    label: str
    value: str
    question: str
    since: datetime
    gone_at: datetime | None


async def read(database: Database) -> list[LabelValueRow]:
    """Return all values, the longest known first."""
    async with database.reading() as connection:
        rows = [LabelValueRow(*row) for row in await connection.execute(select(table))]
    # Sorted here: databases have orders of their own for letters.
    return sorted(rows, key=lambda row: (row.since, row.value, row.document, row.label))


async def write(
    database: Database, document: str, label: str, rows: Sequence[LabelValueRow], removed: Sequence[str]
) -> None:
    """Write new and changed rows of one document and delete `removed` values, in one transaction."""
    async with database.transaction(in_turn=False) as connection:
        for value in removed:
            is_value = (table.c.document == document) & (table.c.label == label) & (table.c.value == value)
            await connection.execute(delete(table).where(is_value))
        for row in rows:
            values = {column: getattr(row, column) for column in table.c.keys()}  # noqa: SIM118 - no mapping
            statement = database.insert(table).values(values)
            updated = {name: statement.excluded[name] for name in ("question", "gone_at")}
            await connection.execute(
                statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=updated)
            )
