"""The types of source: which model stands for each, in a Workspace and in an SLI.

A Service document does not say of which type a source is: the loader does, by `SOURCE_TYPES` in the context
of the validation. Without it, or for a source that no Workspace names, an SLI is taken for one of Prometheus.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Tag
from pydantic.json_schema import SkipJsonSchema

from bot.policy.documents.sources.clickhouse import ClickHouseSliSpec, ClickHouseSourceSpec
from bot.policy.documents.sources.cloudwatch import CloudWatchSliSpec, CloudWatchSourceSpec
from bot.policy.documents.sources.datadog import DatadogSliSpec, DatadogSourceSpec
from bot.policy.documents.sources.json_http import JsonSliSpec, JsonSourceSpec
from bot.policy.documents.sources.loki import LokiSliSpec, LokiSourceSpec
from bot.policy.documents.sources.plugin import BUILT_IN_TYPES, PluginSliSpec, PluginSourceSpec
from bot.policy.documents.sources.prometheus import PrometheusSourceSpec
from bot.policy.documents.sources.sql import SqlSliSpec, SqlSourceSpec

SOURCE_TYPES = "source_types"
"""The key of the context under which the types of sources are, by the sources' names."""
PROMETHEUS, PLUGIN = "(prometheus)", "(plugin)"
SOURCE_TAGS = frozenset({*(f"({name})" for name in BUILT_IN_TYPES), PLUGIN})
"""The steps in the location of pydantic's errors that only name the type of a source."""


def tag_of(source_type: object) -> str:
    """Return the tag of a type as a document names it; Prometheus' where it names none."""
    if source_type is None:
        return PROMETHEUS
    return f"({source_type})" if source_type in BUILT_IN_TYPES else PLUGIN


def _tag_of_source(value: object) -> str:
    return tag_of(value.get("type") if isinstance(value, dict) else getattr(value, "type", None))


SourceSpec = Annotated[
    Annotated[PrometheusSourceSpec, Tag(PROMETHEUS)]
    | Annotated[LokiSourceSpec, Tag("(loki)")]
    | Annotated[SqlSourceSpec, Tag("(sql)")]
    | Annotated[JsonSourceSpec, Tag("(json)")]
    | Annotated[DatadogSourceSpec, Tag("(datadog)")]
    | Annotated[CloudWatchSourceSpec, Tag("(cloudwatch)")]
    | Annotated[ClickHouseSourceSpec, Tag("(clickhouse)")]
    | Annotated[PluginSourceSpec, Tag(PLUGIN)],
    Discriminator(_tag_of_source),
]
"""A monitoring system, by its `type`."""


class TypedSli(dict[str, Any]):
    """What an SLI asks of a source, with the tag of the source's type."""

    def __init__(self, value: Mapping[str, Any], tag: str) -> None:
        super().__init__(value)
        self.tag = tag


def tag_of_sli(value: object) -> str:
    """Return the tag of what an SLI asks of a source: of the value as written, or of its model."""
    if isinstance(value, BaseModel):
        return _TAGS.get(type(value), PROMETHEUS)
    return getattr(value, "tag", PROMETHEUS)


OtherSliSpec = (
    Annotated[LokiSliSpec, Tag("(loki)")]
    | Annotated[SqlSliSpec, Tag("(sql)")]
    | Annotated[JsonSliSpec, Tag("(json)")]
    | Annotated[DatadogSliSpec, Tag("(datadog)")]
    | Annotated[CloudWatchSliSpec, Tag("(cloudwatch)")]
    | Annotated[ClickHouseSliSpec, Tag("(clickhouse)")]
    | Annotated[SkipJsonSchema[PluginSliSpec], Tag(PLUGIN)]
)
"""What is asked of a source of another type than Prometheus."""
_TAGS: Mapping[type[BaseModel], str] = {
    LokiSliSpec: "(loki)",
    SqlSliSpec: "(sql)",
    JsonSliSpec: "(json)",
    DatadogSliSpec: "(datadog)",
    CloudWatchSliSpec: "(cloudwatch)",
    ClickHouseSliSpec: "(clickhouse)",
    PluginSliSpec: PLUGIN,
}
