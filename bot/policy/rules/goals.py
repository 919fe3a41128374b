"""Rules of Goal documents: their services and SLOs exist, and the services are of one Slack workspace."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.policy.faults import PolicyFault, did_you_mean
from bot.policy.rules.named_services import (
    are_all_known,
    services_elsewhere,
    services_named,
    services_of,
    spec_of,
    unknown_services,
)
from bot.policy.rules.validation import ParsedDocument


def goal_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults between Goal and Service documents.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = services_of(sources)
    if not are_all_known(services):
        # Which services there are is known only once the values are.
        return
    for source in sources:
        if source.kind == "Goal":
            named = list(services_named(source))
            yield from unknown_services(source, named, services, may_be_unread)
            yield from services_elsewhere(
                source, [(path, services[name]) for path, name in named if name in services]
            )
            yield from _unknown_slos(source, services)


def _unknown_slos(source: ParsedDocument, services: Mapping[str, ParsedDocument]) -> Iterator[PolicyFault]:
    targets = spec_of(source).get("reliability")
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
    slos = spec_of(service).get("slos")
    for slo in slos if isinstance(slos, list) else ():
        if isinstance(slo, dict) and isinstance(slo.get("name"), str):
            yield slo["name"]
