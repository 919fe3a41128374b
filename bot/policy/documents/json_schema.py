"""The JSON Schema of policy documents, for editors: made from the models, so that it cannot fall behind.

It says what one document may look like by itself. What holds between keys and documents (levels in
order, names that exist) only the loader checks.
"""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from bot.formatting import duration_code
from bot.policy.documents.documents import Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _AsWritten(GenerateJsonSchema):
    """Writes defaults as one would in a document."""

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
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        return super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """Return the schema of one document of any kind, in JSON Schema's draft 2020-12."""
    schema = TypeAdapter[Document](Document).json_schema(schema_generator=_AsWritten)
    alternatives = schema.pop("anyOf")
    described: dict[str, Any] = {
        "$schema": DIALECT,
        "title": "Governor policy document",
        "description": "A document of apiVersion governor/v1: Workspace, ErrorBudgetPolicy or Service.",
        "oneOf": alternatives,
        **schema,
    }
    described["$defs"] = {name: _cleaned(one) for name, one in described["$defs"].items()}
    return described


def _cleaned(schema: dict[str, Any]) -> dict[str, Any]:
    """Take away what says nothing to an editor (generated titles, null as an alternative)."""
    kept = {key: value for key, value in schema.items() if key != "title"}
    if kept.get("default", ...) is None:
        del kept["default"]
    for key in ("properties", "patternProperties"):
        if key in kept:
            kept[key] = {name: _cleaned(one) for name, one in kept[key].items()}
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    alternatives = kept.get("anyOf", [])
    if {"type": "null"} in alternatives:
        others = [one for one in alternatives if one != {"type": "null"}]
        del kept["anyOf"]
        kept = others[0] | kept if len(others) == 1 else kept | {"anyOf": others}
    return kept
