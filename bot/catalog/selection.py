"""Which services something is about: named ones, those with labels, or all. Pure; no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.catalog.catalog import Service


@dataclass(frozen=True, slots=True)
class ServiceSelection:
    """Services by name and those that have all the labels; without either, all services."""

    services: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_all(self) -> bool:
        """Whether every service is meant."""
        return not self.services and not self.labels

    def of(self, services: Mapping[str, Service]) -> tuple[str, ...]:
        """Return the names of those that are meant, the named ones first, each once."""
        if self.is_all:
            return tuple(services)
        labelled = (
            name
            for name, service in services.items()
            if self.labels and self.labels.items() <= service.labels.items()
        )
        return tuple(dict.fromkeys([*self.services, *labelled]))
