"""Of which type each source is: what an SLI may ask depends on it, and another document says it."""

from collections.abc import Sequence
from dataclasses import replace

from bot.policy.rules.validation import ParsedDocument
from bot.policy.rules.workspaces import main_workspace


def with_source_types(sources: Sequence[ParsedDocument]) -> list[ParsedDocument]:
    """Return the documents with the types of the sources that the main Workspace document names.

    A source whose type is not given, or is no text, is taken for Prometheus.
    """
    main = main_workspace(sources)
    types = _types(main) if main is not None else {}
    return [replace(source, source_types=types) for source in sources]


def _types(main: ParsedDocument) -> dict[str, str]:
    match main.tree.value:
        case {"spec": {"sources": dict() as named}}:
            return {
                str(name): settings["type"]
                for name, settings in named.items()
                if isinstance(settings, dict) and isinstance(settings.get("type"), str)
            }
    return {}
