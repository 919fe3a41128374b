"""The JSON Schema of policy documents, for editors: generated from the models.

It covers one document by itself. Rules between keys and documents (the order of levels, names that
exist) are checked only by the loader.
"""

from datetime import time, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import TaggedUnionSchema

from bot.formatting import duration_code
from bot.policy.documents.documents import KINDS, Document
from bot.policy.documents.sources.sources import PROMETHEUS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _AsWritten(GenerateJsonSchema):
    """Writes defaults as they are written in a document."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return duration_code(dft)
        if isinstance(dft, BaseModel):
            fields = type(dft).model_fields
            return {
                field.alias or name: self.encode_default(getattr(dft, name))
                for name, field in fields.items()
                if field.is_required() or getattr(dft, name) != field.get_default(call_default_factory=True)
            }
        if isinstance(dft, time):
            return f"{dft:%H:%M}"
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        return super().encode_default(float(dft) if isinstance(dft, Decimal) else dft)

    def tagged_union_schema(self, schema: TaggedUnionSchema) -> dict[str, Any]:
        """Allow a value that several types of source take: which is meant depends on another document."""
        generated = super().tagged_union_schema(schema)
        if PROMETHEUS not in schema["choices"]:
            return generated
        return {"anyOf" if key == "oneOf" else key: value for key, value in generated.items()}


def json_schema() -> dict[str, Any]:
    """Return the schema of one document of any kind, in JSON Schema's draft 2020-12."""
    schema = TypeAdapter[Document](Document).json_schema(schema_generator=_AsWritten)
    alternatives = schema.pop("anyOf")
    described: dict[str, Any] = {
        "$schema": DIALECT,
        "title": "Governor policy document",
        "description": "A document of apiVersion governor/v1, of one of these kinds: "
        + ", ".join(KINDS)
        + ".",
        "oneOf": alternatives,
        **schema,
    }
    described["$defs"] = {name: _cleaned(model) for name, model in described["$defs"].items()}
    return described


def _cleaned(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without what is no use to an editor (generated titles, null as an alternative)."""
    cleaned = {key: value for key, value in schema.items() if key != "title"}
    if cleaned.get("default", ...) is None:
        del cleaned["default"]
    for key in ("properties", "patternProperties"):
        if key in cleaned:
            cleaned[key] = {name: _cleaned(alternative) for name, alternative in cleaned[key].items()}
    if "patternProperties" in cleaned:
        cleaned["additionalProperties"] = False
    alternatives = cleaned.get("anyOf", [])
    if {"type": "null"} in alternatives:
        others = [alternative for alternative in alternatives if alternative != {"type": "null"}]
        del cleaned["anyOf"]
        cleaned = others[0] | cleaned if len(others) == 1 else cleaned | {"anyOf": others}
    return cleaned
