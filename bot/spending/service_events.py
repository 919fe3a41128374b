"""What happened around a service in a time: incidents, deployments, changes of its flags. Pure values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.deployments.deployment import Deployment
from bot.incidents.incident import Incident

MaySee = Callable[[Incident], bool]
"""Whether whoever reads may know of an incident."""


@dataclass(frozen=True, slots=True)
class FlagMoved:
    """A change of who sees a flag; `raises`: more people do, or nobody knows how many."""

    flag: str
    environment: str
    at: datetime
    raises: bool


@dataclass(frozen=True, slots=True)
class ServiceEvents:
    """What happened, each kind oldest first: incidents that count, deployments to production, flags.

    `channels` are the ids of the incidents' channels, by the incident's number.
    """

    incidents: tuple[Incident, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    flags: tuple[FlagMoved, ...] = ()
    channels: Mapping[int, str] = field(default_factory=dict)

    def seen_by(self, may_see: MaySee) -> "ServiceEvents":
        """Return the same without the incidents that the reader may not know of."""
        seen = tuple(incident for incident in self.incidents if may_see(incident))
        return replace(self, incidents=seen)
