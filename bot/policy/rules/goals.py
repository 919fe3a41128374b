"""Rules of Goal documents: their services and SLOs exist, and the services are of one Slack workspace."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.policy.faults import IT, Path, PolicyFault, did_you_mean
from bot.policy.rules.validation import ParsedDocument


def goal_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults between Goal and Service documents.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = {source.name: source for source in sources if source.kind == "Service" and source.name}
    if any("forEach" in _spec(service) for service in services.values()):
        # Which services there are is known only once the values are.
        return
    for source in sources:
        if source.kind == "Goal":
            named = list(_services(source))
            yield from _unknown(source, named, services, may_be_unread)
            yield from _elsewhere(
                source, [(path, services[name]) for path, name in named if name in services]
            )
            yield from _unknown_slos(source, services)


def _unknown(
    source: ParsedDocument,
    named: Sequence[tuple[Path, str]],
    services: Mapping[str, ParsedDocument],
    may_be_unread: Callable[[str], bool],
) -> Iterator[PolicyFault]:
    for path, name in named:
        if name not in services and not may_be_unread(name):
            message = f"unknown Service {IT}{did_you_mean(name, services)}"
            yield source.fault(path, message, ", ".join(sorted(services)) or "none is defined")


def _elsewhere(source: ParsedDocument, known: Sequence[tuple[Path, ParsedDocument]]) -> Iterator[PolicyFault]:
    for path, service in known[1:]:
        if _spec(service).get("workspace") != _spec(known[0][1]).get("workspace"):
            message = f"{IT} belongs to another Workspace than {known[0][1].name}"
            yield source.fault(path, message, "services of one Slack workspace")


def _unknown_slos(source: ParsedDocument, services: Mapping[str, ParsedDocument]) -> Iterator[PolicyFault]:
    targets = _spec(source).get("reliability")
    for key in targets if isinstance(targets, dict) else ():
        service, _, slo = str(key).partition("/")
        if not slo or service not in services:
            continue
        known = list(_slos(services[service]))
        if slo not in known:
            message = f"{service} has no SLO `{slo}`{did_you_mean(slo, known)}"
            path = ("spec", "reliability", str(key))
            yield source.fault(path, message, ", ".join(known) or "it has none", at_key=True)


def _slos(service: ParsedDocument) -> Iterator[str]:
    slos = _spec(service).get("slos")
    for slo in slos if isinstance(slos, list) else ():
        if isinstance(slo, dict) and isinstance(slo.get("name"), str):
            yield slo["name"]


def _services(source: ParsedDocument) -> Iterator[tuple[Path, str]]:
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
