"""The verdict as it would have been at an earlier time, from the holds of that time.

An exemption that was granted since counts too: somebody let the change through.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.freezes.kind_proof import KindProof
from bot.freezes.records import holds_at, read_exemptions
from bot.freezes.status import barred_environments, exempt_kinds
from bot.freezes.verdict import Change, UnreadyLaunch, Verdict, judge


async def verdict_at(
    connection: AsyncConnection,
    service: Service,
    change: Change,
    at: datetime,
    is_called: Callable[[str], bool],
    *,
    launch: UnreadyLaunch | None = None,
    proof: KindProof | None = None,
    unproven: str = "",
) -> Verdict:
    """Return whether the change might have shipped to the service at a time.

    `launch` is what kept the service from its first production deployment then, `proof` what proves the kind
    of the change. A change has several names (a commit, a branch): `is_called` returns whether a name is one.
    """
    exemptions = await read_exemptions(connection, service.name, at)
    exempted = (
        exemption.change
        for exemption in exemptions
        if is_called(exemption.change) and exemption.is_of_commit(change)
    )
    return judge(
        service.name,
        replace(change, id=next(exempted, change.id)),
        holds=await holds_at(connection, service.name, at),
        exemptions=exemptions,
        exempt_kinds=exempt_kinds(service),
        budgets=(),
        now=at,
        barred=barred_environments(service),
        launch=launch,
        proof=proof,
        unproven=unproven,
    )
