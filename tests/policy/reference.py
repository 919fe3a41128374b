"""Writes the generated parts of the documentation: `python -m tests.policy.reference`.

`docs/policies.schema.json` whole, and the tables between the `keys:` marks: in `docs/policies.md` of the
kinds of document, in `docs/sources.md` of the types of source.
"""

import json
from collections.abc import Iterator
from typing import Any

from bot.policy.documents.documents import KINDS
from bot.policy.documents.json_schema import json_schema
from bot.policy.documents.sources.plugin import BUILT_IN_TYPES
from tests.support.paths import DOCS

SCHEMA = DOCS / "policies.schema.json"
GUIDE = DOCS / "policies.md"
SOURCES_GUIDE = DOCS / "sources.md"

# What stands for a key that the author chooses.
_FREE_KEYS = {
    "sources": "SOURCE",
    "sli": "SOURCE",
    "flags": "ENVIRONMENT",
    "headers": "HEADER",
    "webhooks": "NAME",
    "metrics": "ID",
}


def schema_text() -> str:
    """Return the schema file's content."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def keys(kind: str) -> Iterator[tuple[str, str, str]]:
    """Yield (dotted key, default, meaning) of every key under a kind's `spec`."""
    schema = json_schema()
    spec = schema["$defs"][f"{kind}Spec"]
    yield from _keys_of(spec, "", schema["$defs"])


def _keys_of(schema: dict[str, Any], prefix: str, defs: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for key, value in schema.get("properties", {}).items():
        default = f"`{json.dumps(value['default'])}`" if "default" in value else ""
        if value.get("default") in ("", [], {}):
            default = ""
        yield prefix + key, "required" if key in required else default, value.get("description", "")
        yield from _beneath(value, prefix + key, defs)
    free = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    name = _FREE_KEYS.get(prefix.rstrip(".").rpartition(".")[2], "")
    for value in filter(None, free):
        if isinstance(value, dict) and ("$ref" in value or "anyOf" in value):
            # Of a source, the keys of the usual type; the others have tables of their own.
            yield from _beneath(value.get("anyOf", [value])[0], prefix + name, defs)
        elif name:
            yield prefix + name, "", ""


def _beneath(value: dict[str, Any], path: str, defs: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if value.get("type") == "array":
        value, path = value["items"], path + "[]"
    for one in [value, *value.get("oneOf", [])]:
        if "$ref" in one:
            yield from _keys_of(defs[one["$ref"].rpartition("/")[2]], path + ".", defs)
        elif "patternProperties" in one or isinstance(one.get("additionalProperties"), dict):
            yield from _keys_of(one, path + ".", defs)


def table(kind: str) -> str:
    """Return the Markdown table of a kind's keys."""
    rows = [
        f"| `{key}` | {default} | {' '.join(meaning.split())} |".replace("  ", " ")
        for key, default, meaning in keys(kind)
        if meaning
    ]
    return "\n".join(["| key under `spec` | default | meaning |", "|---|---|---|", *rows])


def source_table(source_type: str) -> str:
    """Return the Markdown table of the keys of a type of source, and of what an SLI may ask of it."""
    defs = json_schema()["$defs"]
    models = {name.casefold(): name for name in defs}
    rows = [
        f"| `{key}` | {default} | {' '.join(meaning.split())} |".replace("  ", " ")
        for place, model in (("sources.SOURCE.", "sourcespec"), ("sli.SOURCE.", "slispec"))
        for key, default, meaning in _keys_of(defs[models[source_type + model]], place, defs)
        if meaning
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def guide_text(guide: str) -> str:
    """Return the guide with its tables made anew."""
    for kind in KINDS:
        guide = _with_table(guide, kind, table(kind))
    return guide


def sources_text(guide: str) -> str:
    """Return the guide to sources with its tables made anew."""
    for source_type in BUILT_IN_TYPES:
        if source_type != "prometheus":
            guide = _with_table(guide, source_type, source_table(source_type))
    return guide


def _with_table(guide: str, name: str, table: str) -> str:
    begin, end = f"<!-- keys: {name} -->", f"<!-- end: {name} -->"
    before, _, rest = guide.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{table}\n{end}{after}"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    GUIDE.write_text(guide_text(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    SOURCES_GUIDE.write_text(sources_text(SOURCES_GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
