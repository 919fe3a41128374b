"""Rules of `gates` in a Workspace document: the services that it names exist."""

from collections.abc import Callable, Iterator, Sequence

from bot.policy.faults import Path, PolicyFault
from bot.policy.rules.named_services import (
    are_all_known,
    names_in,
    services_of,
    spec_of,
    unknown_services,
)
from bot.policy.rules.validation import ParsedDocument


def gate_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield a fault for each service that the gates name and that does not exist.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = services_of(sources)
    if not are_all_known(services):
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
                if key == "services" or (key == "service" and isinstance(inner, str)):
                    yield from names_in(inner, (*path, key))
                else:
                    yield from _services_in(inner, (*path, str(key)))
        case list():
            for index, inner in enumerate(value):
                yield from _services_in(inner, (*path, index))
