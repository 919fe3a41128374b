"""How the platforms that changes go through are reached, as plain values."""

from dataclasses import dataclass
from enum import StrEnum


class GateUnavailable(StrEnum):
    """What a pipeline does with a change to a service while the gate cannot be asked."""

    OPEN = "open"
    """It goes on: an outage of Governor stops nobody."""
    CLOSED = "closed"
    """It does not: nothing ships unasked."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The platforms of the workspace. What is secret in their settings is left out of their `repr`."""


NO_GATES = GateSettings()
