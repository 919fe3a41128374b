"""Rules of Rotation documents: their services exist, are of one Slack workspace, and name both teams."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.policy.faults import IT, PolicyFault, did_you_mean
from bot.policy.rules.validation import ParsedDocument

_SIDES = ("development", "reliability")


def rotation_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults between Rotation and Service documents.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = {source.name: source for source in sources if source.kind == "Service" and source.name}
    has_templates = any("forEach" in _spec(service) for service in services.values())
    for source in sources:
        if source.kind != "Rotation":
            continue
        named = list(_services(source))
        if not has_templates:
            yield from _unknown(source, named, services, may_be_unread)
        known = [(path, services[name]) for path, name in named if name in services]
        yield from _elsewhere(source, known)
        if known and not has_templates:
            yield from _without_team(source, known[0][1])


def _unknown(
    source: ParsedDocument,
    named: Sequence[tuple[tuple[str | int, ...], str]],
    services: Mapping[str, ParsedDocument],
    may_be_unread: Callable[[str], bool],
) -> Iterator[PolicyFault]:
    for path, name in named:
        if name not in services and not may_be_unread(name):
            message = f"unknown Service {IT}{did_you_mean(name, services)}"
            yield source.fault(path, message, ", ".join(sorted(services)) or "none is defined")


def _elsewhere(
    source: ParsedDocument, known: Sequence[tuple[tuple[str | int, ...], ParsedDocument]]
) -> Iterator[PolicyFault]:
    for path, service in known[1:]:
        if _spec(service).get("workspace") != _spec(known[0][1]).get("workspace"):
            message = f"{IT} belongs to another Workspace than {known[0][1].name}"
            yield source.fault(path, message, "services of one Slack workspace")


def _without_team(source: ParsedDocument, service: ParsedDocument) -> Iterator[PolicyFault]:
    teams = _spec(service).get("teams")
    for side in _SIDES:
        if not _spec(source).get(side) and not (isinstance(teams, dict) and teams.get(side)):
            message = f"`{side}` is missing, and {service.name} names no {side} team"
            yield source.fault(("spec",), message, "@group, or a list of people")


def _services(source: ParsedDocument) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the services that are named, each with its path in the document."""
    match _spec(source).get("services"):
        case str() as name:
            yield ("spec", "services"), name
        case list() as names:
            for index, name in enumerate(names):
                if isinstance(name, str):
                    yield ("spec", "services", index), name


def _spec(source: ParsedDocument) -> dict[str, object]:
    value = source.tree.value
    spec = value.get("spec") if isinstance(value, dict) else None
    return spec if isinstance(spec, dict) else {}
