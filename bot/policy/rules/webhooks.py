"""Rules of `webhooks` in the Workspace document: the services that they name exist."""

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


def webhook_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults between `webhooks` and Service documents.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = services_of(sources)
    if not are_all_known(services):
        return
    for source in sources:
        if source.kind == "Workspace":
            yield from unknown_services(source, list(_named(source)), services, may_be_unread)


def _named(source: ParsedDocument) -> Iterator[tuple[Path, str]]:
    webhooks = spec_of(source).get("webhooks")
    for endpoint, webhook in webhooks.items() if isinstance(webhooks, dict) else ():
        if isinstance(webhook, dict):
            yield from names_in(webhook.get("services"), ("spec", "webhooks", endpoint, "services"))
