"""What incidents need of the place where people meet: its channels, and words for what is to be told.

RoomFault
├── NameTaken    a channel has that name already
├── Impossible   refused, and would be refused again
├── NotAllowed   a person must mend the installation or its rights first
└── Later        not done, or nobody knows; worth another attempt
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.postmortem import Postmortem
from bot.incidents.records.steps import ChannelKind, IncidentChannel
from bot.incidents.reminders import Reminder
from bot.incidents.timeline import TimelineEntry
from bot.store.outbox import MessageLocation, OutboxMessage


class ChannelError(Exception):
    """Something could not be done; `error` is the place's own word for it."""

    retryable: ClassVar[bool] = False

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class ChannelNameTakenError(ChannelError):
    """A channel has that name already."""


class ChannelRefusedError(ChannelError):
    """Refused for good."""


class MissingPermissionError(ChannelError):
    """Refused until a person changes what the bot may do."""

    retryable: ClassVar[bool] = True


class TransientError(ChannelError):
    """Try again, after `after_s` seconds if that is known."""

    retryable: ClassVar[bool] = True

    def __init__(self, error: str, after_s: float | None = None) -> None:
        super().__init__(error)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel that the bot is in. `is_mine`: the bot made it; `purpose` is what stands there."""

    id: str
    is_mine: bool
    purpose: str
    is_archived: bool = False


class IncidentChannelPort(Protocol):
    """Where people meet. Every method raises `ChannelError`; all but `make` may be repeated harmlessly."""

    async def make(self, name: str, *, private: bool) -> str:
        """Make a channel and answer its id."""
        ...

    async def find(self, name: str) -> ChannelInfo | None:
        """Return the channel of that name if the bot is in it."""
        ...

    async def set_topic(self, channel_id: str, topic: str) -> None:
        """Say what the channel talks about."""
        ...

    async def set_purpose(self, channel_id: str, purpose: str) -> None:
        """Say what the channel is for."""
        ...

    async def invite(self, channel_id: str, who: str) -> None:
        """Bring a person, or everyone in a team (`@handle`), into the channel."""
        ...

    async def pin(self, place: MessageLocation) -> None:
        """Pin a message to its channel."""
        ...

    async def rewrite(self, place: MessageLocation, message: OutboxMessage) -> None:
        """Put other words in place of the bot's own message."""
        ...

    async def archive(self, channel_id: str) -> None:
        """Close a channel for good: it can be read, and nothing be said in it."""
        ...

    async def members(self, team: str) -> Sequence[str]:
        """Return who is in a team (`@handle`); a person is a team of one."""
        ...


class DocumentStore(Protocol):
    """Where documents are kept. Each method raises `ChannelError`; all but `share` may be repeated."""

    async def upload(self, channel_id: str, name: str, text: str) -> str:
        """Upload a text file where the channel is, though nobody sees it yet; return its id."""
        ...

    async def share(self, file_id: str, name: str, channel_id: str, comment: str) -> None:
        """Put an uploaded file into a channel."""
        ...

    async def is_shared(self, file_id: str, channel_id: str) -> bool:
        """Return whether the channel shows the file."""
        ...

    async def draw(self, channel_id: str, title: str, markdown: str) -> None:
        """Make the channel's canvas, or put the text in place of what it says."""
        ...


@dataclass(frozen=True, slots=True)
class RecentFlag:
    """A flag that people see and that was changed lately; `shown` says who sees it."""

    flag: str
    environment: str
    shown: str
    at: datetime
    by: str


RecentFlags = Callable[[Collection[str], datetime], Awaitable[Sequence[RecentFlag]]]
"""Answers the flags of services that are on and were changed since a time, the last first."""

Names = Callable[[str | None, Collection[str]], Awaitable[Mapping[str, str]]]
"""Answers what people of a Slack workspace (the main one for None) are called, by their user ids."""


@dataclass(frozen=True, slots=True)
class IncidentSnapshot:
    """All that is shown of an incident at a time. `cost` maps `service/slo` to the budget's fraction.

    `asks_p0`: it cost so much that a policy asks for a P0 action; `kept` are its services whose budget hold
    stays until their P0 actions are owned.
    """

    incident: Incident
    rooms: Mapping[ChannelKind, IncidentChannel]
    now: datetime
    cost: Mapping[str, float] = field(default_factory=dict)
    timeline: Sequence[TimelineEntry] = ()
    actions: Sequence[Action] = ()
    flags: Sequence[RecentFlag] = ()
    asks_p0: bool = False
    kept: tuple[str, ...] = ()

    def channel_id(self, kind: ChannelKind = ChannelKind.INCIDENT) -> str | None:
        """Return the channel's id, None until it is there."""
        room = self.rooms.get(kind)
        return room.channel_id if room else None

    @property
    def not_owned(self) -> Sequence[Action]:
        """Its open P0 actions that lack an owner or a date."""
        return [one for one in self.actions if one.is_p0 and one.done_at is None and one.missing]

    @property
    def lacks_p0(self) -> bool:
        """Whether a policy asks for a P0 action and there is none."""
        return self.asks_p0 and not any(one.is_p0 for one in self.actions)

    @property
    def postmortem(self) -> Postmortem:
        """The postmortem's document as it stands."""
        return Postmortem(self.incident, self.timeline, self.actions, self.cost, self.now)


class IncidentMessageWriter(Protocol):
    """Writes what is told; pure, so that it can run within a transaction."""

    def card(self, view: IncidentSnapshot, kind: ChannelKind) -> OutboxMessage:
        """Write the message that is pinned in a room and kept up to date."""
        ...

    def notice(self, view: IncidentSnapshot, kind: ChannelKind) -> OutboxMessage | None:
        """Write what is told elsewhere of a room; None where nobody is to know."""
        ...

    def reminder(self, view: IncidentSnapshot, what: Reminder) -> OutboxMessage | None:
        """Write a reminder for the incident's channel; None while there is none."""
        ...

    def action_due(self, action: Action) -> OutboxMessage:
        """Write to the owner of an action that is due or overdue."""
        ...

    def closed(self, view: IncidentSnapshot, by: str) -> Sequence[OutboxMessage]:
        """Write what is told when the postmortem is closed, before its channels are archived."""
        ...

    def not_archived(self, view: IncidentSnapshot, kind: ChannelKind, error: str) -> OutboxMessage | None:
        """Write into a room that the place refused to archive it; None while there is none."""
        ...

    def topic(self, view: IncidentSnapshot, kind: ChannelKind) -> str:
        """Write a room's topic."""
        ...

    def purpose(self, view: IncidentSnapshot, kind: ChannelKind) -> str:
        """Write what a room is for; the incident's marker stands in it."""
        ...
