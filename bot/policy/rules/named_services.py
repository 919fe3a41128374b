"""What documents say of services: which they name, whether these exist, and are of one Slack workspace."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.policy.faults import IT, Path, PolicyFault, did_you_mean
from bot.policy.rules.validation import ParsedDocument


def unknown_services(
    source: ParsedDocument,
    named: Sequence[tuple[Path, str]],
    services: Mapping[str, ParsedDocument],
    may_be_unread: Callable[[str], bool],
) -> Iterator[PolicyFault]:
    """Yield a fault for each service that is named and does not exist."""
    for path, name in named:
        if name not in services and not may_be_unread(name):
            message = f"unknown Service {IT}{did_you_mean(name, services)}"
            yield source.fault(path, message, ", ".join(sorted(services)) or "none is defined")


def services_elsewhere(
    source: ParsedDocument, known: Sequence[tuple[Path, ParsedDocument]]
) -> Iterator[PolicyFault]:
    """Yield a fault for each service of another Workspace than the first."""
    for path, service in known[1:]:
        if spec_of(service).get("workspace") != spec_of(known[0][1]).get("workspace"):
            message = f"{IT} belongs to another Workspace than {known[0][1].name}"
            yield source.fault(path, message, "services of one Slack workspace")


def services_of(sources: Sequence[ParsedDocument]) -> dict[str, ParsedDocument]:
    """Return the Service documents by name."""
    return {source.name: source for source in sources if source.kind == "Service" and source.name}


def are_all_known(services: Mapping[str, ParsedDocument]) -> bool:
    """Return whether no document stands for services that are known only once the values are."""
    return not any("forEach" in spec_of(service) for service in services.values())


def services_named(source: ParsedDocument) -> Iterator[tuple[Path, str]]:
    """Yield the services that are named, each with its path in the document."""
    yield from names_in(spec_of(source).get("services"), ("spec", "services"))


def names_in(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the name, or the names in the list, that stands at a path, each with its own path."""
    match value:
        case str() as name:
            yield path, name
        case list() as names:
            for index, name in enumerate(names):
                if isinstance(name, str):
                    yield (*path, index), name


def spec_of(source: ParsedDocument) -> dict[str, object]:
    """Return the mapping below `spec`, empty where there is none."""
    value = source.tree.value
    spec = value.get("spec") if isinstance(value, dict) else None
    return spec if isinstance(spec, dict) else {}
