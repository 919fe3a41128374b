"""Which monitoring system an OpenSLO metric lives in, and what it asks there. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot.policy.documents.objectives import BUILT_IN_SLIS
from bot.policy.formats.counted_queries import CLOUDWATCH
from bot.policy.formats.counted_queries import NAMES as COUNTED
from bot.policy.formats.noted_fields import NotedFields
from bot.policy.formats.openslo.counters import is_promql
from bot.policy.formats.openslo.objects import OSKO, OpenSloObjects
from bot.policy.formats.reading import NoteKind
from bot.policy.formats.values import name_of

PROMETHEUS: Final = "prometheus"
GOVERNOR: Final = "governor"
"""The type of metrics that are pushed to Governor, or that it measures itself."""
_PROMETHEUS_TYPES: Final = frozenset(
    {
        "prometheus",
        "promql",
        "thanos",
        "mimir",
        "grafanamimir",
        "cortex",
        "victoriametrics",
        "amp",
        "amazonprometheus",
        "amazonmanagedprometheus",
        "googlemanagedprometheus",
        "gmp",
        "grafanacloudprometheus",
    }
)
_SQL_TYPES: Final = frozenset(
    {"sql", "redshift", "bigquery", "snowflake", "postgres", "postgresql", "mysql", "clickhouse", "athena"}
)
_CLOUDWATCH_FORM: Final = (
    "of CloudWatch a metric is read by `namespace`, `metricName`, `dimensions` and `stat`"
)
_QUERY_KEYS: Final = ("query", "promql", "expr")


@dataclass(frozen=True, slots=True)
class Metric:
    """What is asked of a source; `source` is the source's name.

    `type` is `prometheus`, `governor`, or a type of source that counts by two queries.
    """

    type: str
    source: str
    query: str
    fields: NotedFields
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What names a metric where no query does."""


def metric_of(fields: NotedFields, objects: OpenSloObjects, source: str) -> Metric:
    """Return what a metric asks, in any version's form; raises `RefusedDocumentError`."""
    if "metricSource" in fields:
        return _metric_source(fields.required_mapping("metricSource"), objects, source)
    if "source" in fields or "query" in fields:
        return _alpha(fields, source)
    if "spec" in fields:
        return _second(fields, objects, source)
    raise fields.refusal(None, f"{fields.where('metricSource')} is missing")


def _metric_source(fields: NotedFields, objects: OpenSloObjects, source: str) -> Metric:
    reference, written = fields.text("metricSourceRef"), fields.text("type")
    kind = written or _type_of(reference, objects)
    if kind is None and fields.notes.document.value.get("apiVersion") == OSKO:
        kind = "Mimir"
    if kind is None:
        kind = _guessed(fields, "metricSourceRef", reference)
    return _asked(fields, kind, "type" if written else "metricSourceRef", _name(reference, source, kind))


def _second(fields: NotedFields, objects: OpenSloObjects, source: str) -> Metric:
    """Return a metric as `openslo.com/v2alpha` has it."""
    reference = fields.text("dataSourceRef")
    inline = fields.mapping("dataSourceSpec")
    kind = _type_of(reference, objects)
    if inline is not None:
        kind = inline.required_text("type")
        inline.ignore("description")
        if inline.take("connectionDetails"):
            message = "how it is reached stands in the Workspace, under `sources`"
            inline.note(NoteKind.OMITTED, "connectionDetails", message)
    if kind is None:
        kind = _guessed(fields, "dataSourceRef", reference)
    return _asked(fields, kind, "dataSourceRef", _name(reference, source, kind))


def _alpha(fields: NotedFields, source: str) -> Metric:
    """Return a metric as `openslo/v1alpha` has it: a source's type and a query, and no reference."""
    kind, language = fields.required_text("source"), fields.text("queryType")
    query = fields.required_text("query")
    _check_type(fields, "source", kind)
    if _plain(kind) == CLOUDWATCH:
        raise fields.refusal("query", _CLOUDWATCH_FORM, is_unsupported=True)
    if _plain(kind) in COUNTED:
        return Metric(_plain(kind), _name(None, source, kind), query, fields)
    if language is not None and language.casefold() != "promql":
        message = f"its query is in {language}, and Governor asks Prometheus in PromQL"
        raise fields.refusal("queryType", message, is_unsupported=True)
    return Metric(PROMETHEUS, source, query, fields)


def _asked(fields: NotedFields, kind: str, key: str, source: str) -> Metric:
    spec = fields.required_mapping("spec")
    if _plain(kind) == GOVERNOR:
        sli = spec.required_text("sli")
        if sli not in BUILT_IN_SLIS:
            raise spec.unlike("sli", "events or downtime", sli)
        return Metric(GOVERNOR, source, sli, spec)
    _check_type(fields, key, kind)
    if _plain(kind) == CLOUDWATCH:
        return Metric(CLOUDWATCH, source, "", spec, _cloudwatch(spec))
    keys = [each for each in _QUERY_KEYS if each in spec]
    if not keys:
        raise spec.refusal(None, f"{spec.where('query')} is missing")
    query = spec.required_text(keys[0])
    for name in spec.value:
        if name != keys[0]:
            spec.ignore(name)
            spec.note(NoteKind.OMITTED, name, f"`{name}` is not known beside a query")
    return Metric(_plain(kind) if _plain(kind) in COUNTED else PROMETHEUS, source, query, spec)


def _cloudwatch(spec: NotedFields) -> dict[str, Any]:
    """Return a metric of CloudWatch, as AWS names its parts."""
    if "namespace" not in spec:
        raise spec.refusal(None, _CLOUDWATCH_FORM, is_unsupported=True)
    found: dict[str, Any] = {
        "namespace": spec.required_text("namespace"),
        "metric": spec.required_text("metricName" if "metricName" in spec else "metric"),
    }
    written = spec.value.get("dimensions")
    if isinstance(written, dict):
        dimensions = spec.mapping("dimensions")
        found["dimensions"] = {name: dimensions.text(name) for name in written} if dimensions else {}
    elif written is not None:
        each = [
            (one.required_text("name"), one.required_text("value")) for one in spec.mappings("dimensions")
        ]
        found["dimensions"] = dict(each)
    statistic = spec.text("stat" if "stat" in spec else "statistic")
    return found if statistic is None else found | {"stat": statistic}


def _check_type(fields: NotedFields, key: str, kind: str) -> None:
    if _plain(kind) in _SQL_TYPES:
        message = (
            f"its query for `{kind}` is in SQL, which Governor asks in another form: write its SLI by hand, "
            "for a source of the type `sql`"
        )
        raise fields.refusal(key, message, is_unsupported=True)
    if _plain(kind) not in _PROMETHEUS_TYPES | COUNTED.keys():
        message = f"its numbers are in `{kind}`, and Governor has no source of that type"
        raise fields.refusal(key, message, is_unsupported=True)


def _name(reference: str | None, source: str, kind: str) -> str:
    """Return the name of a source: the referred one's, else its type's where that is not Prometheus."""
    usual = _plain(kind) if _plain(kind) in COUNTED else source
    return (name_of(reference) or usual) if reference else usual


def _type_of(reference: str | None, objects: OpenSloObjects) -> str | None:
    found = objects.find("DataSource", reference) if reference else None
    spec = found.mapping("spec") if found is not None else None
    return spec.text("type") if spec is not None else None


def _guessed(fields: NotedFields, key: str, reference: str | None) -> str:
    """Return the type of a source of which none is said: Prometheus, where its language fits."""
    if reference is None:
        message = f"{fields.where()} names neither a type of source nor a DataSource"
        raise fields.refusal(None, message)
    message = f"the type of `{reference}` is not known: no DataSource of that name is among the documents"
    spec = fields.value.get("spec")
    queries = [spec.get(each) for each in _QUERY_KEYS] if isinstance(spec, dict) else []
    if not any(isinstance(query, str) and is_promql(query) for query in queries):
        raise fields.refusal(key, message)
    fields.note(NoteKind.CHANGED, key, f"{message}; the query is Prometheus', and is asked there")
    return "Prometheus"


def _plain(kind: str) -> str:
    return re.sub(r"[^a-z0-9]", "", kind.casefold()).removesuffix("datasource")


def note_connection(name: str, spec: NotedFields) -> None:
    """Note how a Workspace would name a DataSource."""
    kind = spec.text("type") or ""
    spec.ignore("description")
    details = _details(spec.take("connectionDetails"))
    if _plain(kind) not in _PROMETHEUS_TYPES | COUNTED.keys():
        message = f"Governor has no source of the type `{kind}`"
        spec.note(NoteKind.OMITTED, None, message)
        return
    url = next((details[key] for key in ("url", "address", "endpoint", "host") if key in details), None)
    settings = {"type": _plain(kind)} if _plain(kind) in COUNTED else {}
    if isinstance(url, str) and url.startswith("http"):
        settings["url"] = url.rstrip("/")
    elif _plain(kind) == CLOUDWATCH:
        settings["region"] = str(details.get("region", "…"))
    elif _plain(kind) != "datadog":
        settings["url"] = "…"
    lines = json.dumps({name_of(name) or name: settings}, ensure_ascii=False).replace('"', "")
    others = ", ".join(f"`{key}`" for key, value in details.items() if value is not url)
    rest = f"; {others} belong there too, credentials as `${{NAME}}`" if others else ""
    message = f"how it is reached stands in the Workspace: `sources: {lines}`{rest}"
    spec.note(NoteKind.OMITTED, "connectionDetails", message)


def _details(written: Any) -> Mapping[str, Any]:
    """Return connection details, which may be a mapping or a list of them."""
    if isinstance(written, dict):
        return {str(key): value for key, value in written.items()}
    if isinstance(written, list):
        return {str(key): value for each in written if isinstance(each, dict) for key, value in each.items()}
    return {}
