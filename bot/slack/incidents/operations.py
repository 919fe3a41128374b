"""What people do with an incident by command, button or modal.

Each operation makes one change and returns the reply that the channel sees. Callers have checked that the
person may make it.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from bot.catalog.window import Span
from bot.formatting import duration_text, percent_text
from bot.incidents.downtime import Impact, bad_seconds
from bot.incidents.downtime import duration as downtime
from bot.incidents.incident import Incident, IncidentChange, IncidentError, Role, Severity, Status
from bot.incidents.lifecycle import NewIncident
from bot.incidents.records.channels import ChannelKind
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import ANYBODY, may_see
from bot.slack.arguments import UsageError
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import (
    NOTHING,
    Markup,
    bold,
    code,
    cut,
    join,
    markup,
    mention,
    naming,
    sentence,
    when,
)
from bot.slack.capabilities import IncidentCapabilities
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.buttons import resolved_buttons
from bot.slack.incidents.card import LONGEST_SUMMARY, NEXT_STEPS, channel_link
from bot.slack.incidents.source_message import shortened
from bot.slack.interactions import Reply, say
from bot.store.addresses import local

CHANNEL_WITHIN_S = 5.0
"""How long an answer waits for Slack to make the incident's channel."""
LONGEST_SNOOZE = timedelta(days=7)

_OTHERS_COUNT = Markup(" What else was stated still counts; 0% for its time takes it back.")
_ROLES = {Role.COMMANDER: "commander", Role.SCRIBE: "scribe", Role.COMMS: "in charge of communications"}


class IncidentOperations:
    """Changes incidents for people; raises `UsageError` for what makes no sense."""

    def __init__(self, access: IncidentAccess, incidents: IncidentCapabilities) -> None:
        self._access = access
        self._snapshots = incidents.snapshots
        self._lifecycle = incidents.lifecycle
        self._channel_of = incidents.channel_of

    async def open(self, opening: NewIncident, here: Collection[str]) -> Reply:
        """Open an incident; `here` are the name (`#incidents`) and id of the channel it was requested in."""
        shows = self._access.catalog.shows
        if not all(shows(service) for service in opening.services or (None,)):
            raise UsageError(markup("Name one of your services: {}.", code("/incident open TITLE SERVICE")))
        with translate_errors():
            opened = await self._lifecycle.open(opening, self._now())
        snapshot = await self._channel_of(opened.incident.id, CHANNEL_WITHIN_S)
        incident = snapshot.incident
        services = join(", ", incident.services) or Markup("no service named")
        # Without the title: what a channel was answered cannot be edited once the incident is private.
        text = markup(
            "Incident {} is open, {} ({}). {}",
            incident.id, incident.severity.value, services, _where(snapshot),
        )  # fmt: skip
        workspace = self._access.catalog.workspace
        is_announced_here = local(workspace.incidents or workspace.announcements) in here
        is_public = may_see(incident, ANYBODY)
        return say(text, seen_by_channel=opened.is_new and is_public and not is_announced_here)

    async def set_status(self, id_: int, status: Status, by: str, summary: str = "") -> Reply:
        """Set the status, with a summary of what happened if one is given."""
        before = (await self._snapshots.of(id_)).incident
        if before.status is status:
            return say(markup("It is {} already.", status.value))
        after = await self._change(id_, IncidentChange(status=status, summary=summary or None), by)
        taken = downtime(after.impacts, self._now())
        text = markup(
            "{} of impact {} — {} set it to {}. {}",
            duration_text(taken), "so far" if after.ended_at is None else "in all",
            mention(by), bold(status.value), NEXT_STEPS[status],
        )  # fmt: skip
        if status is not Status.RESOLVED:
            return say(text, seen_by_channel=True)
        told = [text, cut(naming(after.summary), LONGEST_SUMMARY)]
        body = [section(part) for part in told if part]
        return Reply(text, (*body, *resolved_buttons(after)), seen_by_channel=True)

    async def set_severity(self, id_: int, severity: Severity, by: str) -> Reply:
        """Set the severity."""
        before = (await self._snapshots.of(id_)).incident
        if before.severity is severity:
            return say(markup("It is {} already.", severity.value))
        after = await self._change(id_, IncidentChange(severity=severity), by)
        held = Markup(" Its services are held while it lasts.") if after.wants_hold else NOTHING
        text = markup(
            "{} now, {} before — set by {}.{}", bold(severity.value), before.severity.value, mention(by), held
        )
        return say(text, seen_by_channel=True)

    async def assign(self, id_: int, role: Role, person: str, by: str) -> Reply:
        """Assign a role to a person."""
        before = (await self._snapshots.of(id_)).incident
        if before.roles.get(role) == person:
            return say(markup("{} is {} already.", mention(person), _ROLES[role]))
        with translate_errors():
            await self._lifecycle.assign(id_, role, person, by=by, now=self._now())
        named = NOTHING if person == by else markup(", named by {}", mention(by))
        return say(markup("{} is {}{}.", mention(person), _ROLES[role], named), seen_by_channel=True)

    async def note(self, id_: int, text: str, by: str, request: str) -> Reply:
        """Add a note to the timeline, once for each request."""
        if not text:
            raise UsageError(markup("Say what happened: {}.", code("/incident note TEXT")))
        note = shortened(text)
        if not await self._access.is_first(request):
            return say(Markup("That note is on the timeline already."))
        try:
            with translate_errors():
                await self._lifecycle.note(id_, note, by=by, now=self._now())
        except BaseException:
            await self._access.allow_repeat(request)
            raise
        return say(markup("Noted by {}: {}", mention(by), naming(note)), seen_by_channel=True)

    async def state_impact(self, id_: int, share_: float, impact: Impact | None, by: str) -> Reply:
        """State which share of requests failed, in an interval; for None in all impacts that are known."""
        now = self._now()
        with translate_errors():
            if impact is None:
                after = await self._lifecycle.change(id_, IncidentChange(share=share_), by=by, now=now)
                scope = others = NOTHING
            else:
                after = await self._lifecycle.record_impact(id_, impact, by=by, now=now)
                end = markup(" until {}", when(impact.end)) if impact.end else Markup(", still going on")
                of = markup(" of {}", impact.service) if impact.service else NOTHING
                scope = markup("{} from {}{}", of, when(impact.start), end)
                others = NOTHING if after.impacts == (impact,) else _OTHERS_COUNT
        text = markup(
            "{} of requests failed{} — set by {}. {} of full outage in total.{}",
            percent_text(share_), scope, mention(by), duration_text(_full_outage(after, now)), others,
        )  # fmt: skip
        return say(text, seen_by_channel=True)

    async def make_private(self, id_: int, by: str) -> Reply:
        """Hide an incident from lists and notices from now on."""
        before = (await self._snapshots.of(id_)).incident
        if before.private:
            return say(Markup("It is private already."))
        await self._change(id_, IncidentChange(private=True), by)
        return say(
            Markup(
                "Private from now on: Governor reports on it only in this channel, and removes "
                "what it posted elsewhere. No app can make a public channel private. Next: change "
                "its visibility "
                "and its name in the channel's settings."
            )
        )

    async def snooze(self, id_: int, length: timedelta, by: str) -> Reply:
        """Send no reminders for a time."""
        if not timedelta() < length <= LONGEST_SNOOZE:
            raise UsageError(
                markup("Reminders can be snoozed for up to 7 days: {}.", code("/incident snooze 2h"))
            )
        until = self._now() + length
        with translate_errors():
            await self._lifecycle.snooze(id_, until, by=by, now=self._now())
        return say(
            markup("No reminders until {}, set by {}.", when(until), mention(by)), seen_by_channel=True
        )

    async def _change(self, id_: int, change: IncidentChange, by: str) -> Incident:
        with translate_errors():
            return await self._lifecycle.change(id_, change, by=by, now=self._now())

    def _now(self) -> datetime:
        return self._access.now()


def _full_outage(incident: Incident, now: datetime) -> timedelta:
    """Return how long a full outage that is equally bad would have lasted."""
    since = min(incident.started_at, now)
    return timedelta(seconds=bad_seconds(incident.impacts, Span(since, now)))


def _where(snapshot: IncidentSnapshot) -> Markup:
    channel_id = snapshot.channel_id()
    if channel_id is not None:
        return markup("Next: join {}.", channel_link(channel_id))
    channel = snapshot.channels.get(ChannelKind.INCIDENT)
    if channel is not None and channel.problem is not None:
        return markup(
            "Its channel could not be created — Slack says {}. Next: allow it.", code(channel.problem)
        )
    return Markup("Its channel is being created.")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise an `IncidentError` as a `UsageError` for the person who made the request."""
    try:
        yield
    except IncidentError as error:
        raise UsageError(sentence(str(error))) from error
