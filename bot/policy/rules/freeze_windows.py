"""Rules of FreezeWindow documents: the services that they name exist."""

from collections.abc import Callable, Iterator, Sequence

from bot.policy.faults import PolicyFault
from bot.policy.rules.named_services import are_all_known, services_named, services_of, unknown_services
from bot.policy.rules.validation import ParsedDocument


def freeze_window_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults between FreezeWindow and Service documents.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = services_of(sources)
    if not are_all_known(services):
        return
    for source in sources:
        if source.kind == "FreezeWindow":
            yield from unknown_services(source, list(services_named(source)), services, may_be_unread)
