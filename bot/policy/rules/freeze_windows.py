"""Rules of FreezeWindow documents: the services that they name exist."""

from collections.abc import Callable, Iterator, Sequence

from bot.policy.faults import PolicyFault
from bot.policy.rules.named_services import services_named, spec_of, unknown_services
from bot.policy.rules.validation import ParsedDocument


def freeze_window_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults between FreezeWindow and Service documents.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = {source.name: source for source in sources if source.kind == "Service" and source.name}
    if any("forEach" in spec_of(service) for service in services.values()):
        return
    for source in sources:
        if source.kind == "FreezeWindow":
            yield from unknown_services(source, list(services_named(source)), services, may_be_unread)
