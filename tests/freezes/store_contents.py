"""What the store holds after a change: audit rows and announcements."""

from sqlalchemy import select

from bot.store import audit
from bot.store.database import Database
from bot.store.tables.core import outbox


async def audited_actions(database: Database) -> list[tuple[str, str]]:
    async with database.reading() as connection:
        return [(row.entry.actor, row.entry.action) for row in await audit.read(connection)]


async def announcements(database: Database) -> list[tuple[str, str]]:
    async with database.reading() as connection:
        # Without the edits of what was announced before.
        rows = await connection.execute(select(outbox).where(outbox.c.edits.is_(None)).order_by(outbox.c.id))
        return [(row.channel, row.event_type) for row in rows]
