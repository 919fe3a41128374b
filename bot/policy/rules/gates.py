"""Rules of `gates` in a Workspace document: the services that it names exist."""

from collections.abc import Callable, Iterator, Sequence

from bot.policy.faults import Path, PolicyFault
from bot.policy.rules.named_services import spec_of, unknown_services
from bot.policy.rules.validation import ParsedDocument


def gate_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield a fault for each service that the gates name and that does not exist.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = {source.name: source for source in sources if source.kind == "Service" and source.name}
    if any("forEach" in spec_of(service) for service in services.values()):
        return
    for source in sources:
        if source.kind == "Workspace":
            named = list(_services_in(spec_of(source).get("gates"), ("spec", "gates")))
            yield from unknown_services(source, named, services, may_be_unread)


def _services_in(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the values of all keys `service` and `services`, at any depth."""
    match value:
        case dict():
            for key, inner in value.items():
                if key in {"service", "services"} and isinstance(inner, str):
                    yield (*path, key), inner
                elif key == "services" and isinstance(inner, list):
                    named = [(index, name) for index, name in enumerate(inner) if isinstance(name, str)]
                    yield from (((*path, key, index), name) for index, name in named)
                else:
                    yield from _services_in(inner, (*path, str(key)))
        case list():
            for index, inner in enumerate(value):
                yield from _services_in(inner, (*path, index))
