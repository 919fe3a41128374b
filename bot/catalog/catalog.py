"""The catalog: what a valid set of policy documents says, as plain values for the rest of the bot.

Knows neither YAML nor pydantic; `bot/policy/catalog_builder.py` builds it from documents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bot.catalog.digests import DEFAULT_DIGESTS, DigestSettings
from bot.catalog.error_budget_policy import PRODUCTION, ErrorBudgetPolicy, PolicyMode
from bot.catalog.freeze_window import FreezeWindow
from bot.catalog.gates import NO_GATES, GateSettings, GateUnavailable
from bot.catalog.goal import Goal
from bot.catalog.maintenance import MaintenanceWindow
from bot.catalog.paging import PagingDestination
from bot.catalog.rotation import Rotation
from bot.catalog.slo import Slo
from bot.catalog.sources import SourceSettings
from bot.catalog.teams import Teams
from bot.catalog.variants import Variants
from bot.catalog.webhooks import WebhookEndpoint

EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class FlagEnvironment:
    """An environment of the flag system; in a protected one a second person must approve increases."""

    name: str
    protected: bool = False
    default: bool = False


@dataclass(frozen=True, slots=True)
class FlagSettings:
    """The flag system of the workspace, and its environments."""

    backend: str = "local"
    backend_settings: Mapping[str, object] = field(default_factory=dict, repr=False)
    environments: tuple[FlagEnvironment, ...] = ()

    def is_production(self, environment: str) -> bool:
        """Return whether an environment counts as production: by its name, or because it is protected.

        Where none of them does, the default one counts.
        """
        named = [each for each in self.environments if each.protected or each.name == PRODUCTION]
        counted = named or [each for each in self.environments if each.default]
        return environment == PRODUCTION or environment in {each.name for each in counted}


@dataclass(frozen=True, slots=True)
class Permissions:
    """Who may change what: `@group` handles, `U…` ids, members of `#channel` or `C…`, or `everyone`.

    An empty tuple means nobody; `adjust` None means those of `exempt`. They mean full members of the Slack
    workspace; `guests` are the guests and people of other organisations that they may mean besides,
    `everyone` all guests.
    """

    freeze: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    adjust: tuple[str, ...] | None = None
    incidents: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def adjusters(self) -> tuple[str, ...]:
        """Those who may ask to adjust the record of a budget, and approve what another asks for."""
        return self.exempt if self.adjust is None else self.adjust


@dataclass(frozen=True, slots=True)
class Workspace:
    """The settings of a whole workspace. Channels are written `#name` or as an id (`C…`).

    `further` are Slack workspaces beside the main one: each with its `team` (`T…`) and the names of its
    `services`; all other services are the main one's. Their channels are qualified, see
    `bot/store/addresses.py`.
    """

    name: str
    announcements: str
    incidents: str | None = None
    archive_incidents_after: timedelta | None = None
    time_zone: str = "UTC"
    digests: DigestSettings = DEFAULT_DIGESTS
    gates: GateSettings = NO_GATES
    webhooks: Mapping[str, WebhookEndpoint] = field(default_factory=dict)
    evaluate_every: timedelta = timedelta(seconds=60)
    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    flags: FlagSettings = FlagSettings()
    permissions: Permissions = Permissions()
    team: str | None = None
    is_main: bool = True
    services: frozenset[str] = frozenset()
    further: tuple["Workspace", ...] = ()

    @property
    def elsewhere(self) -> str | None:
        """The Slack workspace that addresses of this one must name; None for the main one."""
        return None if self.is_main else self.team

    def of(self, service: str | None) -> "Workspace":
        """Return the workspace that a service belongs to; this one for None."""
        return next((workspace for workspace in self.further if service in workspace.services), self)

    def in_team(self, team: str | None) -> "Workspace | None":
        """Return the workspace of a Slack workspace's id, the main one for None; None for an unknown id."""
        if team is None:
            return self
        return next((workspace for workspace in self.further if workspace.team == team), None)


@dataclass(frozen=True, slots=True)
class Service:
    """A service, its teams and its SLOs. `policies` maps an SLO's name to its own error budget policy.

    `time_zone` (IANA) is that of its channel's people, its workspace's unless it has its own.
    """

    name: str
    description: str
    channel: str
    teams: Teams
    error_budget_policy: ErrorBudgetPolicy
    slos: tuple[Slo, ...]
    policies: Mapping[str, ErrorBudgetPolicy]
    flags: tuple[str, ...] = ()
    repository: str | None = None
    variants: Variants | None = None
    low_risk: tuple[str, ...] = ()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    leads: Teams = field(default_factory=Teams)
    """Who leads each of its teams, where somebody is named."""
    time_zone: str = "UTC"
    paging: tuple[PagingDestination, ...] = ()
    """To whom its `page` alerts are handed over."""
    digests: DigestSettings = DEFAULT_DIGESTS
    labels: Mapping[str, str] = field(default_factory=dict)
    gate_unavailable: GateUnavailable = GateUnavailable.OPEN
    """What pipelines do with changes to it while the gate cannot be asked."""
    depends_on: tuple[str, ...] = ()
    """The names of the services without which it does not work."""

    def variants_of(self, flag: str) -> Variants | None:
        """Return how its series tell who met the flag; None where they do not."""
        return self.variants if self.variants is not None and flag in self.variants.flags else None

    def policy_for(self, slo: Slo) -> ErrorBudgetPolicy:
        """Return the error budget policy of this SLO."""
        return self.policies.get(slo.name, self.error_budget_policy)

    @property
    def holds_with_dependencies(self) -> bool:
        """Whether it is held while one that it depends on is."""
        return bool(self.depends_on) and self.error_budget_policy.hold_with_dependencies

    @property
    def mode(self) -> PolicyMode:
        """Whether what the service's own policy decides is carried out."""
        return self.error_budget_policy.mode


@dataclass(frozen=True, slots=True)
class Catalog:
    """One valid set of policies; `digest` changes when anything in the documents does."""

    workspace: Workspace
    services: Mapping[str, Service]
    digest: str
    hidden: frozenset[str] = frozenset()
    """The services of other workspaces, in a catalog as it is seen from one workspace."""
    hidden_flags: frozenset[str] = frozenset()
    """The flags that only hidden services name."""
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    goals: Mapping[str, Goal] = field(default_factory=dict)
    freeze_windows: Mapping[str, FreezeWindow] = field(default_factory=dict)

    def seen_from(self, team: str | None) -> "Catalog":
        """Return the catalog as it is seen from a further Slack workspace, from the main one for None."""
        main = self.workspace
        if not main.further:
            return self
        workspace = main.in_team(team) or main
        own = {name: service for name, service in self.services.items() if main.of(name) is workspace}
        hidden = frozenset(self.services) - frozenset(own)
        flags = {flag for service in own.values() for flag in service.flags}
        other_flags = {flag for name in hidden for flag in self.services[name].flags}
        if not workspace.is_main:
            workspace = replace(workspace, flags=main.flags, evaluate_every=main.evaluate_every)
        rotations = {
            name: rotation
            for name, rotation in self.rotations.items()
            if any(main.of(service) is workspace for service in rotation.services)
        }
        goals = {name: goal for name, goal in self.goals.items() if goal.services[0] not in hidden}
        windows = {
            name: replace(window, services=visible)
            for name, window in self.freeze_windows.items()
            if (visible := tuple(service for service in window.services if service in own))
        }
        other = frozenset(other_flags - flags)
        return Catalog(workspace, own, self.digest, hidden, other, rotations, goals, windows)

    def shows(self, service: str | None) -> bool:
        """Return whether things of a service (None: of no service) are visible here."""
        return service not in self.hidden if self.workspace.is_main else service in self.services

    def shows_flag(self, flag: str) -> bool:
        """Return whether a flag is visible here: one that no service names is the main workspace's."""
        if self.workspace.is_main:
            return flag not in self.hidden_flags
        return any(flag in service.flags for service in self.services.values())

    def service_or_stand_in(self, name: str) -> Service:
        """Return the service of that name; for one that the policies do not name (any more) a stand-in.

        A stand-in has no SLOs, and is announced where the whole workspace is told.
        """
        if name in self.services:
            return self.services[name]
        home = self.workspace.of(name)
        policy = ErrorBudgetPolicy("none")
        return Service(name, "", home.announcements, Teams(), policy, (), {}, time_zone=home.time_zone)

    @property
    def slos(self) -> tuple[Slo, ...]:
        """Every SLO of every service."""
        return tuple(slo for service in self.services.values() for slo in service.slos)
