"""Rules of Rotation documents: their services exist, are of one Slack workspace, and name both teams."""

from collections.abc import Callable, Iterator, Sequence

from bot.policy.faults import PolicyFault
from bot.policy.rules.named_services import (
    are_all_known,
    services_elsewhere,
    services_named,
    services_of,
    spec_of,
    unknown_services,
)
from bot.policy.rules.validation import ParsedDocument

_SIDES = ("development", "reliability")


def rotation_faults(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield the faults between Rotation and Service documents.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    services = services_of(sources)
    has_templates = not are_all_known(services)
    for source in sources:
        if source.kind != "Rotation":
            continue
        named = list(services_named(source))
        if not has_templates:
            yield from unknown_services(source, named, services, may_be_unread)
        known = [(path, services[name]) for path, name in named if name in services]
        yield from services_elsewhere(source, known)
        if known and not has_templates:
            yield from _without_team(source, known[0][1])


def _without_team(source: ParsedDocument, service: ParsedDocument) -> Iterator[PolicyFault]:
    teams = spec_of(service).get("teams")
    for side in _SIDES:
        if not spec_of(source).get(side) and not (isinstance(teams, dict) and teams.get(side)):
            message = f"`{side}` is missing, and {service.name} names no {side} team"
            yield source.fault(("spec",), message, "@group, or a list of people")
