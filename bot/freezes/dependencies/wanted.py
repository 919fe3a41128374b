"""Which services are held because of which others. Pure; no clock, no I/O.

A service whose policy says so is held while one that it depends on is, also by way of others that are held
so. Each such hold names the service where it comes from, never one that is only held for another's sake: so
services that depend on each other open again once nothing else holds any of them.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.catalog.catalog import Service
from bot.freezes.hold import Hold, HoldKind


@dataclass(frozen=True, slots=True)
class DependencyHold:
    """A hold as it should be: on `service`, because `source` is held, reached over `via` if not directly."""

    service: str
    source: str
    via: str | None = None
    observed: bool = False

    @property
    def reason(self) -> str:
        """The reason in a line: nothing of why the other is held, which not everybody may know."""
        way = "" if self.via is None else f" by way of {self.via}"
        return f"{self.source}, which it depends on{way}, is frozen"


def wanted_holds(services: Mapping[str, Service], in_force: Iterable[Hold]) -> Sequence[DependencyHold]:
    """Return the holds that dependencies want while those are in force, in the order of their services."""
    own: dict[str, list[Hold]] = {}
    for hold in in_force:
        if hold.kind is not HoldKind.DEPENDENCY and not hold.observed:
            own.setdefault(hold.service, []).append(hold)
    return [
        found
        for service in services.values()
        if service.holds_with_dependencies
        for found in _of_service(service, services, own)
    ]


def _of_service(
    service: Service, services: Mapping[str, Service], own: Mapping[str, Sequence[Hold]]
) -> Iterator[DependencyHold]:
    """Yield the holds of one service: for each held one that it reaches, the shortest way."""
    acts = {_act(hold) for hold in own.get(service.name, ())}
    reached, waiting = {service.name}, deque((name, name) for name in service.depends_on)
    while waiting:
        name, first = waiting.popleft()
        if name in reached:
            continue
        reached.add(name)
        if any(_act(hold) not in acts for hold in own.get(name, ())):
            via = None if name == first else first
            yield DependencyHold(service.name, name, via, observed=not service.error_budget_policy.enforces)
        further = services.get(name)
        if further is not None and further.holds_with_dependencies and further.error_budget_policy.enforces:
            waiting.extend((each, first) for each in further.depends_on)


def _act(hold: Hold) -> tuple[object, ...]:
    """Return what is the same for holds that one act or window put on several services."""
    return hold.kind, hold.by, hold.reason, hold.until
