"""What is shown of an incident at one time, in its card, in lists and in its postmortem."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.freezes.transition import PrecedingDeployment
from bot.incidents.action import Action
from bot.incidents.causes.cause import IncidentCauses
from bot.incidents.incident import Incident
from bot.incidents.postmortem import Postmortem
from bot.incidents.records.channels import ChannelKind, IncidentChannel
from bot.incidents.timeline import TimelineEntry


@dataclass(frozen=True, slots=True)
class RecentFlag:
    """A flag that is on and was changed recently; `shown` says who sees it."""

    flag: str
    environment: str
    shown: str
    at: datetime
    by: str


RecentFlags = Callable[[Collection[str], datetime], Awaitable[Sequence[RecentFlag]]]
"""Returns the flags of services that are on and were changed since a time, the last first."""


@dataclass(frozen=True, slots=True)
class IncidentSnapshot:
    """All that is shown of an incident at a time. `cost` maps `service/slo` to the budget's fraction.

    `asks_p0`: it cost so much that a policy asks for a P0 action; `held_until_owned` are its services whose
    budget hold stays until their P0 actions are owned. `deployed` is what came last before it began, `causes`
    which deployments caused it or may have.
    """

    incident: Incident
    channels: Mapping[ChannelKind, IncidentChannel]
    now: datetime
    cost: Mapping[str, float] = field(default_factory=dict)
    timeline: Sequence[TimelineEntry] = ()
    actions: Sequence[Action] = ()
    flags: Sequence[RecentFlag] = ()
    deployed: PrecedingDeployment | None = None
    asks_p0: bool = False
    held_until_owned: tuple[str, ...] = ()
    causes: IncidentCauses = field(default_factory=IncidentCauses)

    def channel_id(self, kind: ChannelKind = ChannelKind.INCIDENT) -> str | None:
        """Return the channel's id; None until it is created."""
        channel = self.channels.get(kind)
        return channel.channel_id if channel else None

    @property
    def open_channel_id(self) -> str | None:
        """The id of the incident's own channel; None where there is none to write in."""
        channel = self.channels.get(ChannelKind.INCIDENT)
        return None if channel is None or channel.is_archived else channel.channel_id

    @property
    def not_owned(self) -> Sequence[Action]:
        """Its open P0 actions that lack an owner or a due date."""
        return [
            action for action in self.actions if action.is_p0 and action.done_at is None and action.missing
        ]

    @property
    def lacks_p0(self) -> bool:
        """Whether a policy asks for a P0 action and there is none."""
        return self.asks_p0 and not any(action.is_p0 for action in self.actions)

    @property
    def postmortem(self) -> Postmortem:
        """The postmortem's document in its present state."""
        return Postmortem(self.incident, self.timeline, self.actions, self.cost, self.now, causes=self.causes)
