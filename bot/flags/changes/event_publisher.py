"""Writes down what happens to flags: the audit row and the messages, in the caller's transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.flags.change import Difference
from bot.flags.events import (
    ApprovalRequested,
    ChangeFailed,
    FlagChanged,
    FlagDrifted,
    FlagEvent,
    FlagEventContext,
    RampPaused,
    RampResumed,
    RampStopped,
    RevertDueSoon,
    RevertFailed,
)
from bot.flags.flag import FlagState, exposure_in_words, subject
from bot.flags.ownership import channels, owners
from bot.freezes.hold import GOVERNOR
from bot.store import audit
from bot.store.outbox import OutboxMessage, enqueue

Announce = Callable[[FlagEventContext], Sequence[OutboxMessage]]
"""Writes the messages that tell an occasion; pure, so that it can run within the transaction."""


class EventPublisher:
    """Tells events in the channels of the services that name the flag."""

    def __init__(self, current: CurrentCatalog, announce: Announce) -> None:
        self._current = current
        self._announce = announce

    async def tell(
        self, connection: AsyncConnection, event: FlagEvent, flag: str, environment: str, now: datetime
    ) -> None:
        """Write the event's audit row, if it is a deed, and its messages."""
        catalog = self._current.catalog
        services = owners(catalog, flag)
        for entry in _entries(event, subject(flag, environment), services[0].name if services else None):
            await audit.record(connection, entry, now)
        names, rooms = [one.name for one in services], channels(catalog, services)
        occasion = FlagEventContext(event, flag, environment, names, rooms, now)
        await enqueue(connection, self._announce(occasion), now)


def figures(state: FlagState) -> dict[str, Any]:
    """Return what the audit log keeps of a flag's state."""
    return {
        "exposure": state.exposure,
        "enabled": state.enabled,
        "shown": exposure_in_words(state),
        "version": state.version,
    }


def changed_entry(what: str, service: str | None, changed: FlagChanged) -> audit.AuditEntry:
    """Return the audit entry of a change: who, from what to what, why, and approved by whom."""
    order, difference = changed.order, changed.live.difference
    after = figures(difference.after) | {"cause": str(order.cause), "approved_by": order.approved_by}
    after |= {"seen": changed.live.seen_after is not None}
    if changed.live.until is not None:
        after["until"] = changed.live.until.isoformat()
    return audit.AuditEntry(
        order.by, "flag.changed", what, order.reason, service, figures(difference.before), after
    )


def _entries(  # noqa: C901, PLR0911 - one return an event
    event: FlagEvent, what: str, service: str | None
) -> Sequence[audit.AuditEntry]:
    def entry(actor: str, action: str, reason: str, **facts: Any) -> list[audit.AuditEntry]:
        return [audit.AuditEntry(actor, action, what, reason, service, **facts)]

    match event:
        case FlagChanged():
            return [changed_entry(what, service, event)]
        case ApprovalRequested(words=words, by=by, reason=reason):
            return entry(by, "flag.asked", reason, after={"shown": words})
        case ChangeFailed(words, by, why):
            return entry(GOVERNOR, "flag.not_done", why, after={"shown": words, "by": by})
        case RevertFailed(cause=cause, why=why, evidence=evidence):
            return entry(GOVERNOR, "flag.left_alone", f"{evidence}: {why}", after={"cause": str(cause)})
        case RampPaused(by, why, progress):
            return entry(by, "ramp.held", why, after={"taken": progress.taken, "of": progress.of})
        case RampResumed(by, progress):
            return entry(by, "ramp.resumed", "goes on", after={"taken": progress.taken, "of": progress.of})
        case RampStopped(by, why, progress):
            return entry(by, "ramp.stopped", why, after={"taken": progress.taken, "of": progress.of})
        case FlagDrifted(difference, who, _):
            return entry(GOVERNOR, "flag.drifted", _drift(who), **_both(difference))
        case RevertDueSoon():
            return ()
        case _:
            assert_never(event)


def _both(difference: Difference) -> dict[str, Any]:
    return {"before": figures(difference.before), "after": figures(difference.after)}


def _drift(who: str) -> str:
    return f"changed elsewhere by {who}" if who else "changed elsewhere"
