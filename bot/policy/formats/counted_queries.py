"""SLIs of sources that count all events and a part of them in a way of their own, not Prometheus'. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from bot.policy.documents.sources.cloudwatch import CloudWatchSliSpec
from bot.policy.documents.sources.datadog import DatadogSliSpec
from bot.policy.documents.sources.loki import LokiSliSpec
from bot.policy.faults import quoted
from bot.policy.formats.queries import QueryError

CLOUDWATCH: Final = "cloudwatch"
NAMES: Final[Mapping[str, str]] = {"loki": "Loki", "datadog": "Datadog", CLOUDWATCH: "CloudWatch"}
"""The types of such sources, and what other tools call them."""
QUERIED: Final = frozenset({"loki", "datadog"})
"""Those of them that are asked by a query in one text."""
_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "loki": LokiSliSpec,
    "datadog": DatadogSliSpec,
    CLOUDWATCH: CloudWatchSliSpec,
}


def counted_sli(source_type: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands under a source's name in an SLI; raises `QueryError` where its source refuses it."""
    try:
        _MODELS[source_type].model_validate(dict(spec))
    except ValidationError as error:
        detail = error.errors()[0]
        reason = getattr(detail.get("ctx", {}).get("error"), "message", None) or detail["msg"]
        name = str(detail["loc"][0]) if detail["loc"] else ""
        written = quoted(str(spec.get(name, name)))
        message = str(reason).replace("{it}", written)
        raise QueryError(f"{NAMES[source_type]}: {message}") from None
    return dict(spec)
