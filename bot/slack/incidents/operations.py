"""What people do with an incident, however they ask for it: typed, pressed or filled in.

Each deed carries out one change and answers what the channel sees of it. Whoever calls has seen to it
that the person may.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from bot.catalog.window import Span
from bot.formatting import duration_text, percent_text
from bot.incidents.downtime import Impact, bad_seconds
from bot.incidents.downtime import duration as downtime
from bot.incidents.incident import Incident, IncidentChange, IncidentError, Role, Severity, Status
from bot.incidents.lifecycle import NewIncident
from bot.incidents.ports import IncidentSnapshot
from bot.incidents.records.steps import ChannelKind
from bot.slack.arguments import UsageError
from bot.slack.blockkit.blocks import actions, button, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, mention, sentence, when
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.buttons import OPEN_POSTMORTEM
from bot.slack.interactions import Reply, say
from bot.store.addresses import local

CHANNEL_WITHIN_S = 5.0
"""How long an answer waits for Slack to make the incident's channel."""
MOST_NOTE = 2_000
LONGEST_SNOOZE = timedelta(days=7)

_ROLES = {Role.COMMANDER: "commander", Role.SCRIBE: "scribe", Role.COMMS: "in charge of communications"}
_NEXT = {
    Status.INVESTIGATING: "Next: find what changed last, and undo it.",
    Status.IDENTIFIED: "Next: stop the impact first; repair the cause after.",
    Status.MITIGATED: "Next: watch that it stays well, then resolve.",
    Status.RESOLVED: "Next: write down what was learned while it is fresh.",
}


class IncidentOperations:
    """Carries out what people decide; raises `UsageError` for what makes no sense."""

    def __init__(self, access: IncidentAccess) -> None:
        self._access = access
        self._lifecycle = access.incidents.lifecycle

    async def open(self, opening: NewIncident, channel: str) -> Reply:
        """Open an incident; `channel` is where it was asked for, as its name (`#incidents`)."""
        shows = self._access.status_reader.catalog.shows
        if not all(shows(service) for service in opening.services or (None,)):
            raise UsageError(markup("Name one of your services: {}.", code("/incident open TITLE SERVICE")))
        with telling():
            opened = await self._lifecycle.open(opening, self._now())
        view = await self._access.incidents.channel_of(opened.incident.id, CHANNEL_WITHIN_S)
        incident = view.incident
        services = join(", ", incident.services) or Markup("no service named")
        text = markup(
            "Incident {} is open, {}: {} ({}). {}",
            incident.id, incident.severity.value, bold(incident.title), services, _where(view),
        )  # fmt: skip
        workspace = self._access.status_reader.catalog.workspace
        told_here = channel == local(workspace.incidents or workspace.announcements)
        return say(text, seen_by_channel=opened.is_new and not incident.private and not told_here)

    async def set_status(self, id_: int, status: Status, by: str) -> Reply:
        """Say how far the work has come."""
        before = (await self._access.incidents.snapshots.of(id_)).incident
        if before.status is status:
            return say(markup("It is {} already.", status.value))
        after = await self._change(id_, IncidentChange(status=status), by)
        taken = downtime(after.impacts, self._now())
        text = markup(
            "{} of impact {} — {} set it to {}. {}",
            duration_text(taken), "so far" if after.ended_at is None else "in all",
            mention(by), bold(status.value), _NEXT[status],
        )  # fmt: skip
        if status is not Status.RESOLVED or after.postmortem_at is not None:
            return say(text, seen_by_channel=True)
        learn = actions(button("Open postmortem", OPEN_POSTMORTEM, str(id_), style="primary"))
        return Reply(text, (section(text), *learn), seen_by_channel=True)

    async def set_severity(self, id_: int, severity: Severity, by: str) -> Reply:
        """Say how bad it is."""
        before = (await self._access.incidents.snapshots.of(id_)).incident
        if before.severity is severity:
            return say(markup("It is {} already.", severity.value))
        after = await self._change(id_, IncidentChange(severity=severity), by)
        held = Markup(" Its services are held while it lasts.") if after.wants_hold else NOTHING
        text = markup(
            "{} now, {} before — set by {}.{}", bold(severity.value), before.severity.value, mention(by), held
        )
        return say(text, seen_by_channel=True)

    async def assign(self, id_: int, role: Role, person: str, by: str) -> Reply:
        """Give somebody a role."""
        before = (await self._access.incidents.snapshots.of(id_)).incident
        if before.roles.get(role) == person:
            return say(markup("{} is {} already.", mention(person), _ROLES[role]))
        with telling():
            await self._lifecycle.assign(id_, role, person, by=by, now=self._now())
        named = NOTHING if person == by else markup(", named by {}", mention(by))
        return say(markup("{} is {}{}.", mention(person), _ROLES[role], named), seen_by_channel=True)

    async def note(self, id_: int, text: str, by: str, request: str) -> Reply:
        """Put words onto the timeline."""
        if not text:
            raise UsageError(markup("Say what happened: {}.", code("/incident note TEXT")))
        kept = text if len(text) <= MOST_NOTE else text[: MOST_NOTE - 1].rstrip() + "…"
        if not await self._access.is_first(request):
            return say(Markup("That note is on the timeline already."))
        try:
            with telling():
                await self._lifecycle.note(id_, kept, by=by, now=self._now())
        except BaseException:
            await self._access.forget(request)
            raise
        return say(markup("Noted by {}: {}", mention(by), kept), seen_by_channel=True)

    async def state_impact(self, id_: int, share_: float, impact: Impact | None, by: str) -> Reply:
        """Say how bad it was, from when to when; without an interval, for all that is known."""
        now = self._now()
        with telling():
            if impact is None:
                after = await self._lifecycle.change(id_, IncidentChange(share=share_), by=by, now=now)
                stretch = NOTHING
            else:
                after = await self._lifecycle.record_impact(id_, impact, by=by, now=now)
                end = markup(" until {}", when(impact.end)) if impact.end else Markup(", and it lasts")
                of = markup(" of {}", impact.service) if impact.service else NOTHING
                stretch = markup("{} from {}{}", of, when(impact.start), end)
        text = markup(
            "{} of requests failed{} — stated by {}. {} of full outage in all.",
            percent_text(share_), stretch, mention(by), duration_text(_full_outage(after, now)),
        )  # fmt: skip
        return say(text, seen_by_channel=True)

    async def make_private(self, id_: int, by: str) -> Reply:
        """Keep an incident from lists and notices from now on."""
        before = (await self._access.incidents.snapshots.of(id_)).incident
        if before.private:
            return say(Markup("It is private already."))
        await self._change(id_, IncidentChange(private=True), by)
        return say(
            Markup(
                "Private from now on: Governor tells of it in this channel alone. Slack lets no app hide a "
                "channel that was public. Next: change its visibility in the channel's settings."
            )
        )

    async def snooze(self, id_: int, length: timedelta, by: str) -> Reply:
        """Send no reminders for a time."""
        if not timedelta() < length <= LONGEST_SNOOZE:
            raise UsageError(markup("Reminders rest for up to 7 days: {}.", code("/incident snooze 2h")))
        until = self._now() + length
        with telling():
            await self._lifecycle.snooze(id_, until, by=by, now=self._now())
        return say(markup("No reminders until {}, says {}.", when(until), mention(by)), seen_by_channel=True)

    async def _change(self, id_: int, change: IncidentChange, by: str) -> Incident:
        with telling():
            return await self._lifecycle.change(id_, change, by=by, now=self._now())

    def _now(self) -> datetime:
        return self._access.clock.now()


def _full_outage(incident: Incident, now: datetime) -> timedelta:
    """Return how long an outage of everything would have been that is as bad."""
    since = min(incident.started_at, now)
    return timedelta(seconds=bad_seconds(incident.impacts, Span(since, now)))


def _where(view: IncidentSnapshot) -> Markup:
    channel_id = view.channel_id()
    if channel_id is not None:
        return Markup(f"Next: join <#{local(channel_id)}>.")
    room = view.rooms.get(ChannelKind.INCIDENT)
    if room is not None and room.problem is not None:
        return markup("Its channel could not be made — Slack says {}. Next: allow it.", code(room.problem))
    return Markup("Its channel comes in a moment.")


@contextmanager
def telling() -> Iterator[None]:
    """Turn what the incident room refuses into words for the person who asked."""
    try:
        yield
    except IncidentError as error:
        raise UsageError(sentence(str(error))) from error
