"""What a valid set of policy documents says, as plain values: the one form the rest of the bot reads.

Knows neither YAML nor pydantic; `loader.py` makes it out of documents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from bot.budgets.slo import Slo
from bot.freezes.error_budget_policy import ErrorBudgetPolicy

EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """Where a Prometheus-compatible server answers and how it wants to be addressed."""

    url: str
    bearer_token: str | None = field(default=None, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Teams:
    """The two user groups (`@handle`) or people (`U…`) that share a service."""

    development: str | None = None
    reliability: str | None = None


@dataclass(frozen=True, slots=True)
class FlagEnvironment:
    """An environment of the flag system; a protected one needs a second person for increases."""

    name: str
    protected: bool = False
    default: bool = False


@dataclass(frozen=True, slots=True)
class FlagSettings:
    """Which flag system serves the workspace, and its environments."""

    backend: str = "local"
    backend_settings: Mapping[str, object] = field(default_factory=dict, repr=False)
    environments: tuple[FlagEnvironment, ...] = ()


@dataclass(frozen=True, slots=True)
class Permissions:
    """Who may change what: `@group` handles, `U…` ids, members of `#channel` or `C…`, or `everyone`.

    An empty tuple means nobody.
    """

    freeze: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workspace:
    """What holds for the whole workspace. Channels are written `#name` or as an id (`C…`)."""

    name: str
    announcements: str
    incidents: str | None = None
    evaluate_every: timedelta = timedelta(seconds=60)
    sources: Mapping[str, PrometheusSettings] = field(default_factory=dict)
    flags: FlagSettings = FlagSettings()
    permissions: Permissions = Permissions()


@dataclass(frozen=True, slots=True)
class Service:
    """A service, its people and its promises. `policies` maps an SLO's name to the policy that judges it."""

    name: str
    description: str
    channel: str
    teams: Teams
    error_budget_policy: ErrorBudgetPolicy
    slos: tuple[Slo, ...]
    policies: Mapping[str, ErrorBudgetPolicy]
    flags: tuple[str, ...] = ()

    def policy_for(self, slo: Slo) -> ErrorBudgetPolicy:
        """Answer the policy that judges this SLO."""
        return self.policies.get(slo.name, self.error_budget_policy)


@dataclass(frozen=True, slots=True)
class Catalog:
    """One valid set of policies; `digest` changes when anything in the documents does."""

    workspace: Workspace
    services: Mapping[str, Service]
    digest: str

    @property
    def slos(self) -> tuple[Slo, ...]:
        """Every SLO of every service."""
        return tuple(slo for service in self.services.values() for slo in service.slos)
