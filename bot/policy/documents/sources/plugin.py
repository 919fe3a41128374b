"""A source that an installed package offers: its settings and SLIs are what that package takes."""

import json
from importlib.metadata import entry_points
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, WithJsonSchema

from bot.catalog.source_slis import PluginSli
from bot.catalog.sources import SOURCE_ENTRY_POINTS, PluginSettings
from bot.policy.documents.model import Model
from bot.policy.faults import IT, InvalidValueError, did_you_mean

BUILT_IN_TYPES = ("prometheus", "loki", "sql", "json", "datadog", "cloudwatch", "clickhouse")
"""The types of source that need no further package."""


def source_types() -> tuple[str, ...]:
    """Return every type that a policy may name: the built-in ones, then those of installed packages."""
    found = {point.name for point in entry_points(group=SOURCE_ENTRY_POINTS)}
    return (*BUILT_IN_TYPES, *sorted(found - set(BUILT_IN_TYPES)))


def _plugin_type(name: str) -> str:
    known = source_types()
    if name not in known:
        raise InvalidValueError(
            f"this type of source is not known: {IT}{did_you_mean(name, known)}", ", ".join(known)
        )
    return name


class PluginSourceSpec(Model):
    """A monitoring system of a type that an installed package adds."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[
        str,
        AfterValidator(_plugin_type),
        WithJsonSchema({"type": "string", "not": {"enum": list(BUILT_IN_TYPES)}}),
    ]
    """The name of the package's entry point in the group `governor.sources`."""

    def settings(self) -> PluginSettings:
        """Return it as a plain value."""
        return PluginSettings(self.type, dict(self.model_extra or {}))


class PluginSliSpec(Model):
    """What is asked of such a source: whatever the package takes."""

    model_config = ConfigDict(extra="allow")

    def sli(self, source: str) -> PluginSli:
        """Return it as a plain value."""
        return PluginSli(source, json.dumps(self.model_extra or {}, sort_keys=True, default=str))
