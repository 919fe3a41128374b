"""Faults of Slack that can be injected: rate limiting, server errors, cut and slow connections, nonsense.

Probabilities (0 to 1) are drawn for each call from a seeded generator; `once` plans one fault
for the next call of one method or of any, and `refuse` one of Slack's error codes. The page
sets the probabilities with `POST /sandbox/faults`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class InjectedFault(StrEnum):
    """A fault of a call."""

    RATE_LIMITED = "rate_limited"
    """429 with `Retry-After`; the call is not carried out."""
    SERVER_ERROR = "server_error"
    """500; the call is not carried out."""
    CUT = "cut"
    """The call is carried out, then the connection is closed without a response."""
    SLOW = "slow"
    """The call is carried out; the response comes after `slow_s`."""
    NONSENSE = "nonsense"
    """The call is carried out; the response is a 200 without anything that Slack documents for the method."""


_NONSENSE: Final = (
    ('{"ok": true}', "application/json"),
    ("{}", "application/json"),
    ("null", "application/json"),
    ("[]", "application/json"),
    ("", "application/json"),
    ('{"ok": true, "cha', "application/json"),
    ("<html><body>We will be back soon.</body></html>", "text/html"),
)


@dataclass(frozen=True, slots=True)
class _Planned:
    fault: InjectedFault
    method: str | None


class FaultInjector:
    """Decides which calls fail; none at first."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._planned: list[_Planned] = []
        self._refusals: list[tuple[str, str]] = []
        self._answers: dict[str, str] = {}
        self.probabilities: dict[InjectedFault, float] = dict.fromkeys(InjectedFault, 0.0)
        self.retry_after_s = 1
        self.slow_s = 2.0

    def once(self, fault: InjectedFault, method: str | None = None) -> None:
        """Plan `fault` for the next call, or for the next call of `method`."""
        self._planned.append(_Planned(fault, method))

    def refuse(self, method: str, error: str) -> None:
        """Refuse the next call of `method` with one of Slack's error codes."""
        self._refusals.append((method, error))

    def answer(self, method: str, body: str) -> None:
        """Return this body to every call of `method` from now on, which is carried out; until `clear`."""
        self._answers[method] = body

    def stop_answering(self, method: str) -> None:
        """Return to calls of `method` what Slack does, again."""
        self._answers.pop(method, None)

    def planned_answer(self, method: str) -> str | None:
        """Return the body that calls of this method are answered with, if any."""
        return self._answers.get(method)

    def refusal(self, method: str) -> str | None:
        """Return the error code planned for this call, if any, and forget it."""
        for planned in self._refusals:
            if planned[0] == method:
                self._refusals.remove(planned)
                return planned[1]
        return None

    def change(self, settings: Mapping[str, object]) -> None:
        """Set probabilities by name, `slow_s` and `seed`; raise `ValueError` for other names."""
        for name, value in settings.items():
            if not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number")
            if name == "seed":
                self._random.seed(int(value))
            elif name == "slow_s":
                self.slow_s = float(value)
            else:
                self.probabilities[InjectedFault(name)] = min(1.0, max(0.0, float(value)))

    def clear(self) -> None:
        """Remove all faults."""
        self._planned.clear()
        self._refusals.clear()
        self._answers.clear()
        self.probabilities = dict.fromkeys(InjectedFault, 0.0)

    def decide(self, method: str) -> InjectedFault | None:
        """Return the fault of this call, if it has one."""
        for planned in self._planned:
            if planned.method in {None, method}:
                self._planned.remove(planned)
                return planned.fault
        for fault, probability in self.probabilities.items():
            if probability and self._random.random() < probability:
                return fault
        return None

    def nonsense(self) -> tuple[str, str]:
        """Return a body without sense, and its content type."""
        return self._random.choice(_NONSENSE)

    def as_json(self) -> dict[str, float]:
        """Return the settings as `change` takes them."""
        return {**{str(f): p for f, p in self.probabilities.items()}, "slow_s": self.slow_s}
