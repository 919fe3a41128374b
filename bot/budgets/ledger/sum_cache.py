"""What the sums over ledgers have in common from one evaluation to the next, so that it is formed once.

A window of 30 days moves by a minute: its whole hours and days stay, until the hour is over. They are
remembered, and only the minutes at the window's ends are summed anew. Which buckets last, a ledger's state
tells: nothing is read again that lies further back than the reading's overlap, unless it was filled
further back, cut back or begun anew, all of which the state shows.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import EventCounts
from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger.buckets import SumRequest
from bot.budgets.ledger.rollups import HOUR, Segment
from bot.budgets.ledger.state import LedgerState
from bot.store.database import Database

_Mark = tuple[datetime | None, ...]


@dataclass(frozen=True, slots=True)
class SumPlan:
    """How to sum some spans: what lasts of each, and the moving pieces that each is made of.

    `lasts_until` is in seconds since the epoch; pieces that several spans have in common stand once.
    """

    lasting: tuple[tuple[Segment, ...], ...]
    lasts_until: int
    pieces: tuple[tuple[Segment, ...], ...]
    used: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _CachedSums:
    """The sums of one ledger's lasting segments."""

    mark: _Mark
    filled_to: datetime | None
    plan: int
    lasts_until: int
    sums: Sequence[EventCounts]


def plan(covers: Sequence[tuple[Segment, ...]], lasts_until: int) -> SumPlan:
    """Tell the segments of each span that last from those that move. `lasts_until` is a whole hour."""

    def lasts(part: Segment) -> bool:
        return part.width >= HOUR and part.share == 1 and part.end <= lasts_until

    lasting = tuple(tuple(part for part in cover if lasts(part)) for cover in covers)
    moving = [[part for part in cover if not lasts(part)] for cover in covers]
    times = Counter(part for cover in moving for part in cover)
    pieces: list[tuple[Segment, ...]] = [(part,) for part, number in times.items() if number > 1]
    shared = {piece[0]: at for at, piece in enumerate(pieces)}
    used = []
    for cover in moving:
        own = tuple(part for part in cover if part not in shared)
        numbers = [shared[part] for part in cover if part in shared]
        if own:
            numbers.append(len(pieces))
            pieces.append(own)
        used.append(tuple(numbers))
    return SumPlan(lasting, lasts_until, tuple(pieces), tuple(used))


class SumCache:
    """Forms the sums over the ledgers of one database. Other processes may write to them meanwhile."""

    def __init__(self) -> None:
        self._remembered: dict[int, _CachedSums] = {}
        self._plans: dict[tuple[tuple[Segment, ...], ...], int] = {}

    async def of(
        self,
        database: Database,
        connection: AsyncConnection,
        asked: Sequence[tuple[int, LedgerState, SumPlan]],
    ) -> list[list[EventCounts]]:
        """Return for each ledger (its number, its state) the sums that its plan describes."""
        numbers = {id(plan): self._number(plan) for plan in {id(plan): plan for *_, plan in asked}.values()}
        lasting: list[Sequence[EventCounts] | None] = [
            self._recall(slo_id, state, numbers[id(plan)]) for slo_id, state, plan in asked
        ]
        missing = [at for at, sums in enumerate(lasting) if sums is None]
        wanted = [SumRequest(asked[at][0], asked[at][2].lasting) for at in missing]
        for at, sums in zip(missing, await bucket_rows.sums(database, connection, wanted), strict=True):
            lasting[at] = sums
            slo_id, state, plan = asked[at]
            self._remembered[slo_id] = _CachedSums(
                _mark(state), state.filled_to, numbers[id(plan)], plan.lasts_until, sums
            )
        pieces = [SumRequest(slo_id, plan.pieces) for slo_id, _, plan in asked]
        moving = await bucket_rows.sums(database, connection, pieces)
        return [
            [_whole(still, parts, used) for still, used in zip(sums or (), plan.used, strict=True)]
            for sums, parts, (_, _, plan) in zip(lasting, moving, asked, strict=True)
        ]

    def forget(self, slo_ids: Iterable[int], since: int) -> None:
        """Forget the sums of these ledgers if they reach beyond a second that is written anew from."""
        for slo_id in slo_ids:
            known = self._remembered.get(slo_id)
            if known is not None and known.lasts_until > since:
                del self._remembered[slo_id]

    def keep(self, slo_ids: Collection[int]) -> None:
        """Forget all ledgers but these."""
        self._remembered = {slo_id: known for slo_id, known in self._remembered.items() if slo_id in slo_ids}

    def _number(self, plan: SumPlan) -> int:
        if len(self._plans) > 10_000:
            self._plans.clear()
            self._remembered.clear()
        return self._plans.setdefault(plan.lasting, len(self._plans))

    def _recall(self, slo_id: int, state: LedgerState, number: int) -> Sequence[EventCounts] | None:
        known = self._remembered.get(slo_id)
        if known is None or known.plan != number or known.mark != _mark(state):
            return None
        is_behind = known.filled_to is None or state.filled_to is None or state.filled_to < known.filled_to
        return None if is_behind else known.sums


def _whole(still: EventCounts, parts: Sequence[EventCounts], used: Sequence[int]) -> EventCounts:
    bad, total = still.bad, still.total
    for piece in used:
        part = parts[piece]
        bad, total = bad + part.bad, total + part.total
    return bucket_rows.settled(EventCounts(bad, total))


def _mark(state: LedgerState) -> _Mark:
    """Return what changes when anything but the newest is written."""
    return state.filled_from, state.base_from, state.minutes_from, state.fives_from
