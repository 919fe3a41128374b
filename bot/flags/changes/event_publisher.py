"""Writes the audit row and the messages of what happens to flags, in the caller's transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.flags.events import (
    ApprovalDeclined,
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
    WatchEndedUndecided,
)
from bot.flags.flag import FlagState, exposure_in_words, subject
from bot.flags.ownership import channels, owners
from bot.freezes.hold import GOVERNOR
from bot.store import audit
from bot.store.outbox import OutboxMessage, enqueue

Announce = Callable[[FlagEventContext], Sequence[OutboxMessage]]
"""Returns the messages that announce an event; pure, because it runs within the transaction."""


class EventPublisher:
    """Announces events in the channels of the services that name the flag, and audits them."""

    def __init__(self, current: CurrentCatalog, announce: Announce) -> None:
        self._current = current
        self._announce = announce

    async def publish(
        self, connection: AsyncConnection, event: FlagEvent, flag: str, environment: str, now: datetime
    ) -> None:
        """Write the event's messages, and its audit row if it has one."""
        catalog = self._current.catalog
        services = owners(catalog, flag)
        for entry in _entries(event, subject(flag, environment), services[0].name if services else None):
            await audit.record(connection, entry, now)
        names = [service.name for service in services]
        context = FlagEventContext(event, flag, environment, names, channels(catalog, services), now)
        await enqueue(connection, self._announce(context), now)


def _state(state: FlagState) -> dict[str, Any]:
    return {
        "exposure": state.exposure,
        "enabled": state.enabled,
        "shown": exposure_in_words(state),
        "version": state.version,
    }


def _changed_entry(flag: str, service: str | None, changed: FlagChanged) -> audit.AuditEntry:
    """Return the audit entry of a change: who, from what to what, why, and approved by whom."""
    request, difference = changed.request, changed.applied.difference
    after = _state(difference.after) | {"cause": str(request.cause), "approved_by": request.approved_by}
    after |= {"seen": changed.applied.seen_after is not None}
    if request.approval_comment:
        after["comment"] = request.approval_comment
    if changed.applied.until is not None:
        after["until"] = changed.applied.until.isoformat()
    return audit.AuditEntry(
        request.by, "flag.changed", flag, request.reason, service, _state(difference.before), after
    )


def _entries(  # noqa: C901, PLR0911 - one return an event
    event: FlagEvent, flag: str, service: str | None
) -> Sequence[audit.AuditEntry]:
    def entry(actor: str, action: str, reason: str, **state: Any) -> list[audit.AuditEntry]:
        return [audit.AuditEntry(actor, action, flag, reason, service, **state)]

    match event:
        case FlagChanged():
            return [_changed_entry(flag, service, event)]
        case ApprovalRequested(words=words, by=by, reason=reason):
            return entry(by, "flag.asked", reason, after={"shown": words})
        case ApprovalDeclined(words, by, asked_by, comment, is_ramp):
            action = "ramp.declined" if is_ramp else "flag.declined"
            return entry(by, action, comment or "declined", after={"shown": words, "by": asked_by})
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
            why = f"changed elsewhere by {who}" if who else "changed elsewhere"
            before, after = _state(difference.before), _state(difference.after)
            return entry(GOVERNOR, "flag.drifted", why, before=before, after=after)
        case WatchEndedUndecided(why):
            return entry(GOVERNOR, "flag.watch_undecided", why)
        case RevertDueSoon():
            return ()
        case _:
            assert_never(event)
