"""Models of what the Workspace document says of other tools' SLO documents: where, and what they lack."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from bot.policy.documents.envelope import LabelName, LabelValue
from bot.policy.documents.fields import Channel, SloWindow, Slug, Team
from bot.policy.documents.model import Model
from bot.policy.documents.quantities import parse_duration
from bot.policy.faults import InvalidValueError


def _folder(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise InvalidValueError("this names no folder", "a path, such as ../slos or .")
    return text


Folder = Annotated[
    str, AfterValidator(_folder), WithJsonSchema({"type": "string", "examples": ["../slos", "."]})
]


class ImportTeamsSpec(Model):
    """The two teams of a service, written as in its own document."""

    development: Team | None = None
    """Those who change the service."""
    reliability: Team | None = None
    """Those who answer for it when it breaks."""


class ImportDefaultsSpec(Model):
    """What documents do not say that have these labels, or that have any."""

    labels: dict[LabelName, LabelValue] = Field(default_factory=dict)
    """Labels that a document must have, such as `{team: shop}`; the block holds for all if left out."""
    channel: Channel | None = None
    """Channel of their services."""
    teams: ImportTeamsSpec = ImportTeamsSpec()
    """Teams of their services."""
    error_budget_policy: Slug | None = None
    """Name of the ErrorBudgetPolicy that judges their SLOs."""
    workspace: Slug | None = None
    """Name of the Workspace document whose Slack workspace their services belong to."""


class ImportSpec(Model):
    """A folder with SLO documents of other tools: Sloth, Pyrra and others."""

    folder: Folder
    """The folder or file, as seen from the folder of policies; `.` is that one itself."""
    source: Slug | None = None
    """Name of the source that their queries are asked of; if left out the only one, else `prometheus`."""
    window: SloWindow = Field(default=parse_duration("30d"), json_schema_extra={"default": "30d"})
    """The window of SLOs that name none, such as Sloth's; its own default is 30 days too."""
    defaults: tuple[ImportDefaultsSpec, ...] = ()
    """What the documents do not say; of several blocks the first one with the key, those for labels first."""
