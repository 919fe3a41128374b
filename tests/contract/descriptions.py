"""Describes interfaces as text that can be compared. Imports nothing of the bot."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer
from prometheus_client import CollectorRegistry, ProcessCollector
from typer.testing import CliRunner

_WIDE = 200
_DEFINITION = "#/$defs/"


def json_text(document: Any) -> str:
    """Return JSON with sorted keys, one value a line."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema with each `$ref` replaced by its definition: the definitions' names are internal.

    Raises ValueError where a definition contains itself.
    """
    body = {key: value for key, value in schema.items() if key != "$defs"}
    resolved: dict[str, Any] = _resolved(body, schema.get("$defs", {}), ())
    return resolved


def _resolved(node: Any, definitions: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_resolved(item, definitions, path) for item in node]
    if not isinstance(node, dict):
        return node
    siblings = {key: _resolved(value, definitions, path) for key, value in node.items() if key != "$ref"}
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return siblings | ({} if reference is None else {"$ref": _resolved(reference, definitions, path)})
    name = reference.removeprefix(_DEFINITION)
    if name in path:
        raise ValueError(f"{name} contains itself, by {' → '.join(path)}")
    return _resolved(definitions[name], definitions, (*path, name)) | siblings


def command_line_help(cli: typer.Typer, program: str) -> str:
    """Return the help of the program and of each command, as a wide terminal without colours shows it."""
    pages = [_help_page(cli, program, words) for words in _commands(typer.main.get_command(cli), ())]
    return "\n".join(pages)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    # Typer brings its own copy of Click, so that its groups need not be `click.Group`.
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(inner, (*words, name))


def _help_page(cli: typer.Typer, program: str, words: Sequence[str]) -> str:
    plain = {"COLUMNS": str(_WIDE), "TERM": "dumb", "NO_COLOR": "1", "FORCE_COLOR": None}
    result = CliRunner().invoke(
        cli, [*words, "--help"], prog_name=program, env=plain, terminal_width=_WIDE, max_content_width=_WIDE
    )
    if result.exit_code != 0:
        raise RuntimeError(f"{program} {' '.join(words)} --help failed: {result.output}")
    typed = " ".join([program, *words, "--help"])
    lines = [line.rstrip() for line in result.output.splitlines()]
    return "\n".join([f"$ {typed}", *lines, ""])


def metrics(registry: CollectorRegistry) -> str:
    """Return the name, type and labels of each metric, one a line."""
    lines = [line for collector in registry._collector_to_names for line in _lines(collector)]
    return "\n".join(sorted(lines)) + "\n"


def _lines(collector: Any) -> list[str]:
    if isinstance(collector, ProcessCollector):
        return [f"{_name(each.name, each.type)} {each.type}" for each in collector.collect()]
    # The labels of a metric without samples are nowhere but in private fields.
    name = _name(collector._name, collector._type)
    return [f"{name} {collector._type} {' '.join(collector._labelnames)}".rstrip()]


def _name(name: str, kind: str) -> str:
    return f"{name}_total" if kind == "counter" else name


def slash_commands(manifest: Mapping[str, Any]) -> str:
    """Return the manifest's slash commands."""
    return json_text(manifest["features"]["slash_commands"])
