"""Where `${NAME}` may stand: secrets and addresses belong in the environment, names and texts do not.

What a document shows to everybody must not show what only the bot's operator should see. So a variable is
filled in where a secret or an address belongs, and elsewhere only if the main Workspace document names it.
"""

from collections.abc import Sequence
from dataclasses import replace

from bot.policy.documents.sources.plugin import BUILT_IN_TYPES
from bot.policy.faults import InvalidValueError, Path, quoted
from bot.policy.rules.validation import ParsedDocument
from bot.policy.rules.workspaces import main_workspace
from bot.policy.yaml.substitution import is_own

_OF_SOURCES = frozenset(
    {
        *("url", "bearerToken", "tenant", "apiKey", "applicationKey"),
        *("accessKeyId", "secretAccessKey", "sessionToken"),
        *("caFile", "certFile", "keyFile"),
    }
)
"""The keys of a source that are secrets or addresses."""
_MAPPINGS_OF_SOURCES = frozenset({"basicAuth", "headers", "params"})
_ALLOWED = (
    "addresses and credentials of sources, flag backends, paging systems and webhooks, "
    "or the name under `spec.variables` of the Workspace document"
)


def with_variables_checked(sources: Sequence[ParsedDocument]) -> list[ParsedDocument]:
    """Return the documents with every variable refused that may not be filled in where it stands."""
    main = main_workspace(sources)
    if main is None:
        # Which names are allowed cannot be told; that is a fault of its own.
        return list(sources)
    named = named_variables(main)
    return [_checked(source, named) for source in sources]


def _checked(source: ParsedDocument, named: frozenset[str]) -> ParsedDocument:
    refused: dict[Path, InvalidValueError] = {}
    for path, names in source.tree.references.items():
        if any(is_own(name) for name in names):
            # Refused while reading already, for that reason.
            continue
        others = [name for name in names if name not in named]
        if others and not _is_secret_or_address(source, path):
            message = f"the environment variable {quoted(others[0])} is not filled in here"
            refused[path] = InvalidValueError(message, _ALLOWED)
    return replace(source, tree=source.tree.refusing(refused)) if refused else source


def _is_secret_or_address(source: ParsedDocument, path: Path) -> bool:
    """Return whether a value of a document is a secret, an address or part of its settings."""
    match path:
        case ("spec", "paging", _, *_):
            return source.kind in {"Workspace", "Service"}
        case _ if source.kind != "Workspace":
            return False
        case ("spec", "sources", str(name), key, *rest):
            return key in (_MAPPINGS_OF_SOURCES if rest else _OF_SOURCES) or (
                key != "type" and _is_of_a_package(source, name)
            )
        case ("spec", "webhooks", _, "url" | "secret") | ("spec", "flags", "backend", _, _, *_):
            return True
        case _:
            return False


def _is_of_a_package(source: ParsedDocument, name: str) -> bool:
    """Return whether a source is of a type that an installed package adds: it may have any secret."""
    match source.tree.value:
        case {"spec": {"sources": dict() as sources}}:
            settings = sources.get(name)
            return isinstance(settings, dict) and settings.get("type", "prometheus") not in BUILT_IN_TYPES
    return False


def named_variables(main: ParsedDocument) -> frozenset[str]:
    """Return the names that the main Workspace document allows everywhere."""
    value = main.tree.value
    spec = value.get("spec") if isinstance(value, dict) else None
    names = spec.get("variables") if isinstance(spec, dict) else None
    return (
        frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
    )
