"""What a ledger no longer knows once its source's events come later than they were taken to come. Pure."""

from datetime import datetime, timedelta

from bot.budgets.ledger.rollups import MINUTE, floor, instant, rollups_at, seconds
from bot.budgets.ledger.state import LedgerState


def after_raising_delay(state: LedgerState, delay: timedelta, now: datetime) -> dict[str, datetime | None]:
    """Return the fields that change where a source's delay is raised; none where it is not.

    What was read may lack events: nothing is known then of the time of which minutes are kept, until it is
    read again. From now on reads end the delay ago, so they would reach back as much further than the buckets
    below five minutes that are still kept: what is read again begins where those do, or they would be counted
    twice. A ledger that ends before that time has lost nothing, one that begins after the end of the reads
    begins anew.
    """
    since = {rollup.width: instant(rollup.since) for rollup in rollups_at(state, now)}
    if state.filled_from is None or state.filled_to is None or state.delay >= delay:
        return {}
    if state.filled_to <= since[MINUTE]:
        return {}
    base = state.base or MINUTE
    end = instant(floor(seconds(now - delay), base) - base)
    filled_to = max(since[MINUTE], min(state.filled_to, end))
    kept: dict[str, datetime | None] = {"minutes_from": since[MINUTE], "base_from": since[base]}
    if filled_to <= state.filled_from:
        return {"filled_from": None, "filled_to": None, "newest": None, **kept}
    return {"filled_to": filled_to, "newest": since[MINUTE], **kept}
