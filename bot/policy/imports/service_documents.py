"""Service documents of imported SLOs; their faults keep the file and line of the other document. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from yaml.error import Mark

from bot.policy.faults import Path as KeyPath
from bot.policy.faults import PolicyError, PolicyFault, dotted
from bot.policy.formats.imported_services import ImportedService, ImportedServices, Place, ServiceFault
from bot.policy.rules.validation import ParsedDocument, PlaceElsewhere, validate
from bot.policy.templates.templates import with_placeholders_checked, with_sample
from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.tree import NodePosition, Tree

_NO_CHANNEL = "`channel` is missing"


def own_services(sources: Sequence[ParsedDocument]) -> dict[str, list[str]]:
    """Return the names of the SLOs of each service of the policies."""
    return {
        source.name: [
            slo["name"] for slo in _slos(source) if isinstance(slo, dict) and isinstance(slo.get("name"), str)
        ]
        for source in sources
        if source.kind == "Service" and "forEach" not in mapping_in(source.tree.value, "spec")
    }


def merged(sources: Sequence[ParsedDocument], services: Sequence[ImportedService]) -> list[ParsedDocument]:
    """Return the policies' documents with the imported SLOs of their services, then the imported services."""
    added = {service.name: service for service in services}
    found = [
        _with_slos(source, added.pop(source.name))
        if source.kind == "Service" and source.name in added and added[source.name].is_own
        else source
        for source in sources
    ]
    # That a channel is missing is said already, in other words.
    new = [service for service in added.values() if "channel" in service.spec]
    return [*found, *(with_placeholders_checked(_parsed(service)) for service in new)]


def _with_slos(source: ParsedDocument, service: ImportedService) -> ParsedDocument:
    value = source.tree.value
    if not isinstance(value, dict) or not isinstance(value.get("spec"), dict):
        return source
    before = len(_slos(source))
    slos = [*_slos(source), *(dict(slo.value) for slo in service.slos)]
    tree = replace(source.tree, value={**value, "spec": {**value["spec"], "slos": slos}})
    places: dict[KeyPath, Place] = {}
    positions = dict(source.tree.positions)
    for index, slo in enumerate(service.slos, before):
        places["spec", "slos", index] = slo.place
        positions |= _positions(dict(slo.value), ("spec", "slos", index))
    positions.setdefault(("spec", "slos"), positions["spec",])
    return replace(source, tree=replace(tree, positions=positions), elsewhere=_elsewhere(places))


def _parsed(service: ImportedService) -> ParsedDocument:
    value = service.value
    places: dict[KeyPath, Place] = dict(service.places)
    places |= {("spec", "slos", index): slo.place for index, slo in enumerate(service.slos)}
    text = SourceText(service.places[()].document.file, "")
    tree = Tree(_positions(value, ()), value=value)
    return ParsedDocument(text, tree, "Service", service.name, elsewhere=_elsewhere(places))


def _elsewhere(places: Mapping[KeyPath, Place]) -> dict[KeyPath, PlaceElsewhere]:
    return {
        path: PlaceElsewhere(place.document.file, place.line, place.title, dotted(place.path))
        for path, place in places.items()
    }


def _positions(value: object, path: KeyPath) -> dict[KeyPath, NodePosition]:
    """Return positions for values that are in no file of policies: only what is written counts of them."""
    mark = Mark("", 0, 0, 0, None, 0)
    written = str(value) if isinstance(value, str | int | float) else None
    positions = {path: NodePosition(mark, mark, written)}
    inner: Sequence[tuple[str | int, object]] = ()
    if isinstance(value, Mapping):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for key, each in inner:
        positions |= _positions(each, (*path, key))
    return positions


def faults_of(services: ImportedServices) -> list[PolicyFault]:
    """Return the faults of imported services by themselves, without the policies that they go to."""
    faults = [service_fault(fault) for fault in services.faults]
    for service in services.services:
        # Without a Workspace, the documents themselves say of which type the sources are.
        types = {name: slo.source_type for slo in service.slos for name in mapping_in(slo.value, "sli")}
        source = replace(_parsed(service), source_types=types)
        faults += validate(with_sample(with_placeholders_checked(source)))[1]
    # A service without a channel has a fault that says more.
    return [fault for fault in PolicyError(faults).faults if fault.message != _NO_CHANNEL]


def service_fault(fault: ServiceFault) -> PolicyFault:
    """Return a fault with the place where it is, in the other tool's document."""
    place = fault.place
    return PolicyFault(
        place.document.file, place.line, 1, place.title, dotted(place.path), fault.message, fault.allowed
    )


def mapping_in(value: object, key: str) -> dict[str, object]:
    """Return the mapping below a key; an empty one where there is none."""
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _slos(source: ParsedDocument) -> list[object]:
    slos = mapping_in(source.tree.value, "spec").get("slos")
    return slos if isinstance(slos, list) else []
