"""What incidents need of the chat system: channels, a place for documents, and the text of messages.

ChannelError
├── ChannelNameTakenError    a channel has that name already
├── ChannelRefusedError      refused, and would be refused again
├── MissingPermissionError   a person must change the installation or its rights first
└── TransientError           not done, or the outcome is unknown; worth another attempt
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.records.channels import ChannelKind, IncidentChannel
from bot.incidents.reminders import Reminder
from bot.incidents.snapshot import IncidentSnapshot
from bot.store.outbox import OutboxMessage
from bot.store.threads import MessageLocation


class ChannelError(Exception):
    """A call failed; `error` is the chat system's own code for it."""

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
    """Worth another attempt, after `after_s` seconds if that is known."""

    retryable: ClassVar[bool] = True

    def __init__(self, error: str, after_s: float | None = None) -> None:
        super().__init__(error)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel that the bot is a member of, and whether the bot created it."""

    id: str
    is_created_by_bot: bool
    purpose: str
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class ChannelUse:
    """What people do with a channel: its name, and when one of them wrote there last.

    `is_archived`: it is, or the bot was removed from it.
    """

    name: str
    is_archived: bool
    last_written_at: datetime | None = None


class IncidentChannelPort(Protocol):
    """Channels and their messages. Each method raises `ChannelError`; all but `create` are idempotent."""

    async def create(self, name: str, *, private: bool) -> str:
        """Create a channel and return its id."""
        ...

    async def find(self, name: str) -> ChannelInfo | None:
        """Return the channel of that name if the bot is in it."""
        ...

    async def set_topic(self, channel_id: str, topic: str) -> None:
        """Set the channel's topic."""
        ...

    async def set_purpose(self, channel_id: str, purpose: str) -> None:
        """Set the channel's purpose."""
        ...

    async def invite(self, channel_id: str, invitee: str) -> None:
        """Invite a person, or everyone in a team (`@handle`), to the channel."""
        ...

    async def pin(self, place: MessageLocation) -> None:
        """Pin a message to its channel."""
        ...

    async def rewrite(self, place: MessageLocation, message: OutboxMessage) -> None:
        """Replace the content of one of the bot's messages."""
        ...

    async def archive(self, channel_id: str) -> None:
        """Archive a channel: it can be read, but nothing can be posted there any more."""
        ...

    async def use(self, channel_id: str, since: datetime) -> ChannelUse:
        """Return what people have done with a channel since a time."""
        ...

    async def members(self, team: Sequence[str]) -> Sequence[str]:
        """Return the people of a team, which names user groups (`@handle`) and people."""
        ...


class DocumentStore(Protocol):
    """Files and canvases of channels. Each method raises `ChannelError`; all but `share` are idempotent."""

    async def upload(self, channel_id: str, name: str, text: str) -> str:
        """Upload a text file to the channel's workspace, visible to nobody yet; return its id."""
        ...

    async def share(self, file_id: str, name: str, channel_id: str, comment: str) -> None:
        """Share an uploaded file in a channel."""
        ...

    async def is_shared(self, file_id: str, channel_id: str) -> bool:
        """Return whether the channel shows the file."""
        ...

    async def update_canvas(self, channel_id: str, title: str, markdown: str) -> None:
        """Create the channel's canvas, or replace its text."""
        ...


Names = Callable[[str | None, Collection[str]], Awaitable[Mapping[str, str]]]
"""Returns the names of people in a Slack workspace (the main one for None), by their user ids."""


@dataclass(frozen=True, slots=True)
class ServingPair:
    """The developer and the SRE who serve in a rotation; None where nobody of that side does."""

    development: str | None = None
    reliability: str | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """Those who serve."""
        return tuple(person for person in (self.development, self.reliability) if person is not None)


PairOf = Callable[[Sequence[str]], Awaitable[ServingPair]]
"""Returns who serves now for services: the pair of the first of them that has a rotation."""


async def nobody_serves(_: Sequence[str]) -> ServingPair:
    """Return that there is no rotation."""
    return ServingPair()


EligibleForRoles = Callable[[str | None, Collection[str]], Awaitable[Collection[str]]]
"""Returns who of a Slack workspace (the main one for None) can have a role; raises `ChannelError`."""


class IncidentMessageWriter(Protocol):
    """Writes the messages about incidents; pure, so that it can run within a transaction."""

    def card(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> OutboxMessage:
        """Write the message that is pinned in a channel and kept up to date."""
        ...

    def notice(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> OutboxMessage | None:
        """Write the message that announces a channel elsewhere; None where it is not announced."""
        ...

    def traces(self, snapshot: IncidentSnapshot) -> Collection[str]:
        """Return the texts by which messages elsewhere that tell of an incident are found."""
        ...

    def without_private(self, message: OutboxMessage, snapshot: IncidentSnapshot) -> OutboxMessage | None:
        """Return a message elsewhere without what it tells of an incident; None where it tells nothing."""
        ...

    def reminder(self, snapshot: IncidentSnapshot, reminder: Reminder) -> OutboxMessage | None:
        """Write a reminder for the incident's channel; None while there is no channel."""
        ...

    def action_due(self, action: Action) -> OutboxMessage:
        """Write to the owner of an action that is due or overdue."""
        ...

    def merged(self, channel_id: str, duplicate: Incident, by: str) -> OutboxMessage:
        """Write into an incident's channel that a duplicate was merged into it."""
        ...

    def closed(self, snapshot: IncidentSnapshot, by: str) -> Sequence[OutboxMessage]:
        """Write the messages that announce a closed postmortem before its channels are archived."""
        ...

    def not_archived(self, snapshot: IncidentSnapshot, kind: ChannelKind, error: str) -> OutboxMessage | None:
        """Write into a channel that it could not be archived; None while there is no channel."""
        ...

    def archived_soon(self, channel: IncidentChannel, at: datetime, quiet_for: timedelta) -> OutboxMessage:
        """Write into a finished incident's channel when it is archived unless somebody writes there."""
        ...

    def topic(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> str:
        """Write a channel's topic."""
        ...

    def purpose(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> str:
        """Write a channel's purpose, which contains the incident's reference."""
        ...
