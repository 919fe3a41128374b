"""Tells people in direct messages what they asked to be told of, each once, when its task is due."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from bot.catalog.catalog import Permissions
from bot.catalog.current import CurrentCatalog
from bot.incidents.incident import Incident
from bot.incidents.visibility import Viewer, may_see
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, cut, join, markup, mention, when
from bot.slack.permissions import Allowed, NotAMember, PeopleOf, PermissionDenied
from bot.slack.webapi.accounts import AccountKind
from bot.store.addresses import local, qualified
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.personal import preferences
from bot.store.personal.notice import (
    PERSONAL_NOTICES,
    ApprovalNeeded,
    ApprovalRight,
    PersonalNotice,
    PersonalTopic,
)
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import RetryRule

PERSONAL_NOTICE: Final = "personal_notice"
"""The event type of the messages."""
_ASK_AGAIN_AFTER: Final = timedelta(seconds=30)
_GIVE_UP_AFTER: Final = timedelta(hours=1)
_LONGEST_TEXT: Final = 2_900
_LONGEST_BRIEF: Final = 300

IsWaiting = Callable[[str], Awaitable[bool]]
"""Returns whether a request (`kind:number`) still waits for approval."""
ReadIncident = Callable[[int], Awaitable[Incident]]
"""Returns an incident as it is now."""


class _Concern(Enum):
    """Whether something concerns a person."""

    YES = auto()
    NO = auto()
    UNKNOWN = auto()
    """Slack does not say right now."""
    GONE = auto()
    """The person's account is deactivated."""


class PersonalNotices(EndsSilently):
    """Tells people. Where Slack does not say who is in a team, it is asked again for an hour."""

    kind = PERSONAL_NOTICES
    rule = RetryRule(give_up_after=_GIVE_UP_AFTER)

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        people_of: PeopleOf,
        is_waiting: IsWaiting,
        read_incident: ReadIncident,
    ) -> None:
        self._database = database
        self._current = current
        self._people_of = people_of
        self._is_waiting = is_waiting
        self._read_incident = read_incident

    async def run(self, attempt: TaskAttempt) -> None:
        """Tell everybody whom it concerns and who was not told yet, unless it is over."""
        notice = PersonalNotice.from_payload(attempt.payload)
        async with self._database.reading() as connection:
            wanting = await preferences.subscribers(connection, notice.topic)
        if not wanting:
            return
        incident = await self._read_incident(notice.incident) if notice.incident is not None else None
        if incident is not None and incident.status.is_over:
            return
        if notice.approval is not None and not await self._is_waiting(notice.approval.request):
            return
        told: list[str] = list(attempt.payload.get("told", ()))
        found: dict[tuple[str | None, str], _Concern] = {}
        for workspace, person in wanting:
            if person != notice.by and qualified(workspace, person) not in told:
                found[workspace, person] = await self._concern(notice, incident, workspace, person)
        reached = [qualified(*key) for key, concern in found.items() if concern is _Concern.YES]
        text = notice_text(notice, incident)
        held_since = datetime.fromisoformat(attempt.payload["at"]) if attempt.payload["held"] else None
        messages = [notice_message(address, notice.topic, text, held_since) for address in reached]
        is_early = attempt.now - attempt.task.due_at < _GIVE_UP_AFTER
        if is_early and _Concern.UNKNOWN in found.values():
            payload = {**attempt.payload, "told": [*told, *reached]}
            ending = attempt.continuing(payload, after=_ASK_AGAIN_AFTER)
        else:
            ending = attempt.completing()
        async with ending as connection:
            await enqueue(connection, messages, attempt.now)
            for (workspace, person), concern in found.items():
                if concern is _Concern.GONE:
                    await preferences.forget(connection, workspace, person)

    async def _concern(
        self, notice: PersonalNotice, incident: Incident | None, workspace: str | None, person: str
    ) -> _Concern:
        people, entries = self._people_of(workspace), self._entries(notice, workspace)
        denial = await people.check_account(person)
        if isinstance(denial, NotAMember):
            return _Concern.GONE if denial.kind is AccountKind.DEACTIVATED else _Concern.NO
        if denial is not None:
            return _Concern.UNKNOWN
        if incident is not None and not may_see(incident, Viewer(person)):
            return _Concern.NO
        found = await people.find_entry(person, entries)
        if isinstance(found, Allowed):
            return _Concern.YES
        return _Concern.NO if isinstance(found, PermissionDenied) else _Concern.UNKNOWN

    def _entries(self, notice: PersonalNotice, workspace: str | None) -> Sequence[str]:
        """Return whom it concerns in a Slack workspace, by what its policies say now."""
        if workspace is not None and self._current.workspace.in_team(workspace) is None:
            return ()
        catalog = self._current.catalog.seen_from(workspace)
        services = [catalog.services[name] for name in notice.services if name in catalog.services]
        is_of_nobody = not notice.services and workspace is None
        if notice.approval is not None:
            return (
                _approvers(catalog.workspace.permissions, notice.approval) if services or is_of_nobody else ()
            )
        return [local(entry) for service in services for entry in service.teams.entries]


def notice_text(notice: PersonalNotice, incident: Incident | None) -> Markup:
    """Return what is said. Of an incident no title: it may become private after it was said."""
    if incident is None:
        return Markup(notice.text)
    opened = markup(
        ":rotating_light: A {} incident of {} was opened by {}: incident {}.",
        incident.severity,
        bold(", ".join(notice.services)),
        mention(incident.opened_by),
        incident.id,
    )
    return join("\n", [opened, markup("Next: {} shows it.", code(f"/incident show {incident.id}"))])


def notice_message(
    address: str, topic: PersonalTopic, text: Markup, held_since: datetime | None
) -> OutboxMessage:
    """Return the message to one person; `held_since` is when it happened, if quiet hours held it."""
    shown = Markup(cut(text, _LONGEST_TEXT))
    why = markup(
        "You get this because {} is on; {} changes that.", code(topic.value), code("/governor notify")
    )
    held = markup("It happened {}, in the quiet hours.", when(held_since)) if held_since else Markup("")
    note = join(" ", [held, why])
    brief = cut(Markup(shown.partition("\n")[0]), _LONGEST_BRIEF)
    body = [section(shown), context(note)]
    return OutboxMessage(address, PERSONAL_NOTICE, join("\n", [shown, held]), body, brief, is_bulk=True)


def _approvers(permissions: Permissions, approval: ApprovalNeeded) -> Sequence[str]:
    match approval.right:
        case ApprovalRight.EXEMPT:
            return permissions.exempt
        case ApprovalRight.ADJUST:
            return permissions.adjusters
        case ApprovalRight.FLAGS:
            return permissions.flags.get(approval.environment, ())
