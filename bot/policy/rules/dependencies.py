"""Rules of `dependsOn`: the services that it names exist, are others, and of the same Slack workspace."""

from collections.abc import Callable, Iterator, Sequence

from bot.policy.faults import IT, PolicyFault
from bot.policy.rules.named_services import (
    are_all_known,
    names_in,
    services_elsewhere,
    services_of,
    spec_of,
    unknown_services,
)
from bot.policy.rules.validation import ParsedDocument


def dependency_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults of what Service documents depend on.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = services_of(sources)
    is_complete = are_all_known(services)
    for source in services.values():
        named = list(names_in(spec_of(source).get("dependsOn"), ("spec", "dependsOn")))
        seen: set[str] = set()
        for path, name in named:
            if name == source.name:
                yield source.fault(path, "a service does not depend on itself", "other services")
            elif name in seen:
                yield source.fault(path, f"{IT} is in this list twice", "each once")
            seen.add(name)
        if is_complete:
            yield from unknown_services(source, named, services, may_be_unread)
        known = [
            (("metadata", "name"), source),
            *((at, services[name]) for at, name in named if name in services),
        ]
        yield from services_elsewhere(source, known)
