"""What the gate would have answered at an earlier time, from the holds that lay then.

An exemption that was granted since counts, too: somebody let the change through.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.freezes.records import holds_at, read_exemptions
from bot.freezes.status import exempt_kinds
from bot.freezes.verdict import Change, Verdict, judge


async def verdict_at(
    connection: AsyncConnection,
    service: Service,
    change: Change,
    at: datetime,
    is_called: Callable[[str], bool],
) -> Verdict:
    """Return whether the change might have shipped to the service at a time.

    A change goes by several names (a commit, a branch): `is_called` tells whether a name is one of its.
    """
    exemptions = await read_exemptions(connection, service.name, at)
    name = next((one.change for one in exemptions if is_called(one.change)), change.id)
    return judge(
        service.name,
        Change(name, change.kind),
        holds=await holds_at(connection, service.name, at),
        exemptions=exemptions,
        exempt_kinds=exempt_kinds(service),
        budgets=(),
        now=at,
    )
