"""The states of ledgers, as rows of the table `slos`; of thousands, equal ones share a statement."""

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, String, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.ledger.state import LedgerState, ReadFault, after_writing, lateness_after
from bot.catalog.window import Span
from bot.store.tables.core import slos as ledgers
from bot.store.value_lists import is_one_of, is_one_of_parameter

_COLUMNS = [ledgers.c[field.name] for field in dataclasses.fields(LedgerState)]
_FAULT = [column.name for column in _COLUMNS].index("fault")


async def read_states(
    connection: AsyncConnection, ids: Collection[int], *, lock: bool = False
) -> dict[int, LedgerState]:
    """Return the states of ledgers by their id; ledgers that are alike share one object."""
    states: dict[int, LedgerState] = {}
    for alike, *values in await connection.execute(_states_query(lock), {"ids": ids}):
        if values[_FAULT] is not None:
            values[_FAULT] = ReadFault(values[_FAULT])
        states |= dict.fromkeys(map(int, alike.split(",")), LedgerState(*values))
    return states


@cache
def _states_query(lock: bool) -> Select[Any]:
    query = select(ledgers.c.id, *_COLUMNS).where(is_one_of_parameter(ledgers.c.id, "ids"))
    if lock:
        # In a fixed order, so that two writers cannot deadlock.
        query = query.order_by(ledgers.c.id).with_for_update()
    rows = query.subquery()
    columns = [rows.c[column.name] for column in _COLUMNS]
    joined_ids = func.aggregate_strings(cast(rows.c.id, String), ",")
    return select(joined_ids, *columns).group_by(*columns)


async def record_write(
    connection: AsyncConnection,
    states: Mapping[int, LedgerState],
    span: Span,
    width: int,
    now: datetime,
    *,
    newest: Mapping[int, datetime],
    late: Mapping[int, timedelta],
) -> dict[int, LedgerState]:
    """Store how far ledgers are filled after `span` was written, and clear the fault; return their states.

    `newest` are the newest samples of sources that lag behind. A span in the past says nothing of them.
    `late` is how late events came that this write added to what seemed to be complete.
    """
    alike: dict[tuple[LedgerState, datetime | None, timedelta | None], list[int]] = defaultdict(list)
    for slo_id, state in states.items():
        is_latest = state.filled_to is None or span.end >= state.filled_to
        newest_sample = newest.get(slo_id) if is_latest else state.newest
        alike[state, newest_sample, late.get(slo_id)].append(slo_id)
    after: dict[int, LedgerState] = {}
    for (state, newest_sample, lateness), ids in alike.items():
        values: dict[str, Any] = {
            **after_writing(state, span, width),
            **lateness_after(state, lateness, now),
            "read_at": now,
            "newest": newest_sample,
            "fault": None,
            "problem": None,
        }
        await connection.execute(update(ledgers).where(is_one_of(ledgers.c.id, ids)).values(values))
        after |= dict.fromkeys(ids, dataclasses.replace(state, **values))
    return after
