"""Whose measures are asked for: a service's, a team's, or those of all services together. Pure.

A team is all services whose `teams` name its user group. People are no teams: measures are never a person's.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from bot.catalog.catalog import Catalog, Service
from bot.catalog.goal import Goal
from bot.suggestions import did_you_mean, suggest


class ScopeKind(StrEnum):
    """What a scope is."""

    SERVICE = "service"
    TEAM = "team"
    GOAL = "goal"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class VelocityScope:
    """A service or a team (`@handle`) by its name, with its services in the order of their names."""

    kind: ScopeKind
    name: str
    services: tuple[Service, ...]

    @property
    def service_names(self) -> tuple[str, ...]:
        """The names of its services."""
        return tuple(service.name for service in self.services)


class UnknownScopeError(LookupError):
    """No service and no team has that name; `near` are those most like it, best first."""

    def __init__(self, name: str, near: Sequence[str], *, what: str = "service or team") -> None:
        super().__init__(f"there is no {what} {name}{did_you_mean(near[:1])}")
        self.name = name
        self.near = tuple(near)


def service_scope(service: Service) -> VelocityScope:
    """Return the scope of one service."""
    return VelocityScope(ScopeKind.SERVICE, service.name, (service,))


def service_of_that_name(catalog: Catalog, name: str) -> VelocityScope:
    """Return the scope of the service of that name, in any case; raises `UnknownScopeError`."""
    key = name.strip().casefold()
    if key not in catalog.services:
        raise UnknownScopeError(name, suggest(key, catalog.services, most=3), what="service")
    return service_scope(catalog.services[key])


def all_services(catalog: Catalog) -> VelocityScope:
    """Return the scope of all services together."""
    return VelocityScope(ScopeKind.ALL, "all services", _in_order(catalog.services.values()))


def team_scope(catalog: Catalog, name: str) -> VelocityScope:
    """Return the scope of the team with that handle, in any case, with or without `@`.

    Raises `UnknownScopeError`, for a person as well.
    """
    handle, known = f"@{name.strip().casefold().removeprefix('@')}", team_names(catalog)
    named = [each for each in catalog.services.values() if handle in _teams_of(each)]
    if not named:
        raise UnknownScopeError(name, suggest(handle, known, most=3), what="team")
    return VelocityScope(ScopeKind.TEAM, handle, _in_order(named))


def find_scope(catalog: Catalog, name: str) -> VelocityScope:
    """Return the service of that name, else the team; raises `UnknownScopeError`."""
    for find in (service_of_that_name, team_scope):
        with suppress(UnknownScopeError):
            return find(catalog, name)
    known = [*catalog.services, *team_names(catalog)]
    raise UnknownScopeError(name, suggest(name.casefold(), known, most=3))


def team_names(catalog: Catalog) -> Sequence[str]:
    """Return the handles of all teams, in lower case and in order."""
    return sorted({team for service in catalog.services.values() for team in _teams_of(service)})


def _teams_of(service: Service) -> frozenset[str]:
    """Return the user groups of a service; people who are listed instead of one are no team."""
    return frozenset(entry.casefold() for entry in service.teams.entries if entry.startswith("@"))


def _in_order(services: Iterable[Service]) -> tuple[Service, ...]:
    return tuple(sorted(services, key=lambda service: service.name))


def goal_scope(catalog: Catalog, goal: Goal) -> VelocityScope:
    """Return the scope of a goal: those of its services that there are."""
    named = (catalog.services[name] for name in goal.services if name in catalog.services)
    return VelocityScope(ScopeKind.GOAL, goal.name, _in_order(named))
