"""The results of the tools: parts of the API's answers, each also in a few words."""

from abc import abstractmethod
from typing import Literal

from pydantic import ConfigDict

from bot.attribute_docstrings import DescribedModel
from bot.formatting import budget_text, counted


class ToolResult(DescribedModel):
    """A result: structured, and in words."""

    # What a client does not know it ignores; what the API adds later is left out here.
    model_config = ConfigDict(extra="ignore")

    @abstractmethod
    def in_words(self) -> str:
        """Return the result in a few lines."""


class HoldResult(DescribedModel):
    """What freezes a service."""

    model_config = ConfigDict(extra="ignore")

    kind: str
    """`budget`, `person`, `calendar`, `incident` or `dependency`."""
    reason: str
    by: str
    since: str
    until: str | None
    """When it ends, where that is known."""


class VerdictResult(ToolResult):
    """Whether a change may ship. A refusal is an answer, no error."""

    verdict: Literal["go", "wait", "back"]
    """`go`: ship it. `wait`: do not ship it now. `back`: it ships and does harm: take it back."""
    allow: bool
    service: str
    change: str | None
    reasons: list[str]
    opens_at: str | None
    """When a refusal is expected to end, where that is known."""
    retry_after: int | None
    """After how many seconds to ask again."""
    exemption: str | None
    """The exemption that lets it through."""
    age: float | None
    """How many seconds old the figures are that it rests on."""
    next_step: str = ""
    """What to do now."""

    def in_words(self) -> str:
        """Return the verdict, its reasons and what to do now."""
        return "\n".join([f"{self.verdict}: {'; '.join(self.reasons)}", self.next_step])


class FreezeResult(ToolResult):
    """Why a service is frozen, if it is."""

    service: str
    frozen: bool
    mode: str
    """`enforce`, or `observe` where its policy only notes what it would freeze."""
    holds: list[HoldResult]
    reasons: list[str]
    opens_at: str | None
    """When it is expected to open, where that is known."""
    policy: str
    """The resource with its policy in words."""

    def in_words(self) -> str:
        """Return what holds the service."""
        if not self.frozen:
            return f"{self.service} is open"
        lines = [f"{hold.kind}: {hold.reason} (since {hold.since})" for hold in self.holds]
        end = f"; expected to open at {self.opens_at}" if self.opens_at else ""
        return "\n".join([f"{self.service} is frozen by {counted(len(lines), 'hold')}{end}", *lines])


class SloBudget(DescribedModel):
    """An SLO's error budget."""

    model_config = ConfigDict(extra="ignore")

    name: str
    objective: float
    window: str
    state: str
    """`ok`, or why nothing can be said: `no_data`, `no_traffic`, `too_little_traffic`, `stale`, `invalid`."""
    remaining: float | None
    """What is left: 1 is untouched, below 0 is overspent."""
    remaining_minutes: float | None
    burn: dict[str, float | None]
    """How fast it is spent, by the time looked back over; 1 spends it exactly in its window."""
    exhausts_at: str | None
    as_of: str | None


class BudgetResult(ToolResult):
    """How much error budget a service has left."""

    service: str
    state: str
    """`open` or `frozen`."""
    slos: list[SloBudget]

    def in_words(self) -> str:
        """Return what each SLO has left."""
        if not self.slos:
            return f"{self.service} is {self.state} and has no SLO"
        lines = [
            f"{slo.name}: {budget_text(slo.remaining, plain=True)} left of {slo.window}" for slo in self.slos
        ]
        return "\n".join([f"{self.service} is {self.state}", *lines])


class ExemptionResult(ToolResult):
    """An exemption that was asked for."""

    id: int
    state: Literal["pending", "granted", "declined", "used", "expired"]
    service: str
    change: str
    commit: str | None
    """The only commit of the change that it is for; null for any."""
    decided_by: str | None
    comment: str | None
    """What was said to the decision."""
    until: str | None
    next_step: str = ""
    """What to do now."""

    def in_words(self) -> str:
        """Return how far it has come, and what to do now."""
        at = f" at commit {self.commit}" if self.commit else ""
        return f"exemption {self.id} for {self.change}{at} is {self.state}\n{self.next_step}"


class DeploymentResult(ToolResult):
    """What became of a report."""

    recorded: list[str]
    """The services for which it was new; none for one that was known."""

    def in_words(self) -> str:
        """Return whether it was new."""
        return "recorded" if self.recorded else "it was recorded before"


class IncidentResult(ToolResult):
    """An incident."""

    id: int
    title: str
    severity: str
    status: str
    services: list[str]
    channel: str | None = None
    """The name of its Slack channel, once there is one."""

    def in_words(self) -> str:
        """Return its number, how it stands and where people talk about it."""
        place = f" in #{self.channel}" if self.channel else ""
        return f"incident {self.id} ({self.severity}) is {self.status}{place}"


class FlagSetting(DescribedModel):
    """A flag in one environment."""

    model_config = ConfigDict(extra="ignore")

    flag: str
    services: list[str]
    enabled: bool
    exposure: float | None
    """The share of users that see it now; null where its system does not say."""
    in_words: str


class FlagsResult(ToolResult):
    """Flags, and who sees each now."""

    environment: str
    flags: list[FlagSetting]

    def in_words(self) -> str:
        """Return each flag in a line."""
        lines = [f"{each.flag}: {each.in_words}" for each in self.flags]
        return "\n".join([f"{counted(len(lines), 'flag')} in {self.environment}", *lines])
