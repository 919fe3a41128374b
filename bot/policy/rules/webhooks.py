"""Rules of `webhooks` in the Workspace document: the services that they name exist."""

from collections.abc import Callable, Iterator, Sequence

from bot.policy.faults import Path, PolicyFault
from bot.policy.rules.named_services import spec_of, unknown_services
from bot.policy.rules.validation import ParsedDocument


def webhook_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults between `webhooks` and Service documents.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = {source.name: source for source in sources if source.kind == "Service" and source.name}
    if any("forEach" in spec_of(service) for service in services.values()):
        return
    for source in sources:
        if source.kind == "Workspace":
            yield from unknown_services(source, list(_named(source)), services, may_be_unread)


def _named(source: ParsedDocument) -> Iterator[tuple[Path, str]]:
    webhooks = spec_of(source).get("webhooks")
    for endpoint, webhook in webhooks.items() if isinstance(webhooks, dict) else ():
        path = ("spec", "webhooks", endpoint, "services")
        match webhook.get("services") if isinstance(webhook, dict) else None:
            case str() as name:
                yield path, name
            case list() as names:
                for index, name in enumerate(names):
                    if isinstance(name, str):
                        yield (*path, index), name
