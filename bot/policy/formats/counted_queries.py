"""SLIs of sources that count by two queries in a language of their own: Loki and Datadog. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from bot.policy.documents.sources.datadog import DatadogSliSpec
from bot.policy.documents.sources.loki import LokiSliSpec
from bot.policy.faults import quoted
from bot.policy.formats.queries import QueryError

NAMES: Final[Mapping[str, str]] = {"loki": "Loki", "datadog": "Datadog"}
"""The types of such sources, and what other tools call them."""
_MODELS: Final[Mapping[str, type[BaseModel]]] = {"loki": LokiSliSpec, "datadog": DatadogSliSpec}


def counted_sli(source_type: str, spec: Mapping[str, str]) -> dict[str, Any]:
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
