"""What one document says of the whole workspace: channels, sources, the flag system, who may change what."""

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from bot.policy.documents.digests import DigestSpec
from bot.policy.documents.fields import (
    Channel,
    EvaluationInterval,
    People,
    QuietTime,
    Slug,
    Switch,
    TeamId,
    TimeZone,
    VariableName,
)
from bot.policy.documents.gates.gates import GatesSpec
from bot.policy.documents.gates.webhooks import LONGEST_NAME, WebhookSpec, too_long
from bot.policy.documents.imports import ImportSpec
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.notify import NotifySpec
from bot.policy.documents.paging import PagingSpec
from bot.policy.documents.quantities import parse_duration
from bot.policy.documents.sources.sources import SourceSpec
from bot.policy.faults import InvalidValueError, did_you_mean

FLAG_BACKENDS = ("local", "unleash", "flagd", "launchdarkly", "flagsmith")
FLAG_BACKEND_ENTRY_POINTS = "governor.flag_backends"
"""The entry points by which installed packages add flag backends."""


class ChannelsSpec(Model):
    """Channels of the whole workspace, `#name` or an id (`C…`)."""

    announcements: Channel
    """Where freezes, unfreezes and faults in the policies are told."""
    incidents: Channel | None = None
    """Where incidents are told; the announcements channel if left out."""
    archive_incidents_after: QuietTime | None = None
    """How long after an incident is over and the last person wrote there its channel is archived, 2d to 400d;
    told there a day before. An incident with an open postmortem keeps its channels. Never if left out."""


class EnvironmentSpec(Model):
    """An environment of the flag system."""

    name: Slug
    """Name of the environment."""
    protected: Switch = False
    """Whether increases of exposure need a second person."""
    default: Switch = False
    """Whether it is meant where none is named; the first of the list if none is marked."""


def _backend(value: object) -> object:
    allowed = "local, or one of {unleash: …}, {flagd: …}, {launchdarkly: …}, {flagsmith: …} with its settings"
    if isinstance(value, str):
        value = {value: {}} if value == "local" else {value: None}
    if not isinstance(value, dict) or len(value) != 1:
        raise InvalidValueError("this does not name one flag backend", allowed)
    ((name, settings),) = value.items()
    known = (*FLAG_BACKENDS, *(point.name for point in entry_points(group=FLAG_BACKEND_ENTRY_POINTS)))
    if name not in known:
        raise InvalidValueError(f"this flag backend is not known{did_you_mean(name, known)}", allowed)
    if not isinstance(settings, dict):
        raise InvalidValueError("this flag backend needs a mapping of settings", allowed)
    return value


_BACKEND_SCHEMA: dict[str, Any] = {
    "oneOf": [
        {"const": "local"},
        *(
            {
                "type": "object",
                "properties": {name: {"type": "object"}},
                "required": [name],
                "additionalProperties": False,
            }
            for name in FLAG_BACKENDS
        ),
    ]
}
Backend = Annotated[dict[str, dict[str, Any]], BeforeValidator(_backend), WithJsonSchema(_BACKEND_SCHEMA)]


class FlagsSpec(Model):
    """The feature flag system of the workspace."""

    backend: Backend = Field(default={"local": {}}, repr=False, json_schema_extra={"default": "local"})
    """`local` (served over OFREP), or one backend's name with its settings, such as `{flagd: {file: …}}`."""
    environments: tuple[EnvironmentSpec, ...] = (
        EnvironmentSpec(name="production", protected=True, default=True),
    )
    """The environments, at least one."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is an environment."""
        if not self.environments:
            yield BrokenRule(("environments",), "there is no environment", "at least one")


class PermissionsSpec(Model):
    """Who may change what. Everyone may ask; nobody may change what is not named here.

    All of them mean full members of the Slack workspace only, `everyone` too; see `guests`.
    """

    freeze: People = ()
    """Who may freeze a service and lift holds."""
    exempt: People = ()
    """Who may exempt one change from a freeze."""
    adjust: People | None = None
    """Who may ask to adjust the record of a budget, and approve what another of them asks for; those of
    `exempt` if left out."""
    incidents: People = ()
    """Who may declare and run incidents."""
    guests: People = ()
    """Which guests and people of other organisations (Slack Connect) the others may mean too; nobody if
    left out. `everyone` is every guest, but nobody of another organisation. Bots never have a right."""
    flags: dict[Slug, People] = Field(default_factory=dict)
    """Who may change flags, for each environment."""


class WorkspaceSpec(Model):
    """What holds for the whole workspace."""

    team: TeamId | None = None
    """Id of the Slack workspace (`T…`). Required in further Workspace documents, which say nothing else but
    `channels`, `timeZone`, `digest` and `permissions`; in the main one it says which installation it is."""
    channels: ChannelsSpec
    """Where the bot speaks."""
    time_zone: TimeZone = "UTC"
    """IANA time zone of its people, by whose clock regular messages come, such as `Europe/Berlin`."""
    digest: DigestSpec | None = None
    """The weekly digest and the stand-up line of all channels."""
    evaluate_every: EvaluationInterval = parse_duration("60s")
    """How often budgets are computed, 1s to 1d."""
    sources: dict[Slug, SourceSpec] = Field(default_factory=dict)
    """Monitoring systems by the name that SLIs use; not `events` or `downtime`."""
    imports: tuple[ImportSpec, ...] = (ImportSpec(folder="."),)
    """Folders with SLO documents of other tools; those in the folder of policies if left out, `[]` reads
    none."""
    flags: FlagsSpec = FlagsSpec()
    """The feature flag system and its environments."""
    permissions: PermissionsSpec = PermissionsSpec()
    """Who may change what: `@group`, `#channel` (its members), `U…` or `everyone`, one or a list; full
    members of the Slack workspace only, unless `guests` allows others."""
    notify: NotifySpec = NotifySpec()
    """Who is mentioned when something happens, and when nobody is, unless a policy says otherwise."""
    paging: PagingSpec = PagingSpec()
    """Which systems wake people when a burn alert of severity `page` fires."""
    gates: GatesSpec = GatesSpec()
    """The platforms that are held while a service is frozen, and how they are reached."""
    webhooks: dict[Slug, WebhookSpec] = Field(default_factory=dict)
    """Where signed events go, by a name of at most 40 characters."""
    variables: tuple[VariableName, ...] = ()
    """Environment variables that any value of any document may refer to, not only addresses and credentials:
    what they hold may be seen by everybody."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that names of webhooks are short."""
        for name in too_long(self.webhooks):
            yield BrokenRule(
                ("webhooks", name), "this name is too long", f"at most {LONGEST_NAME} characters"
            )
