"""Who sees a flag of the `local` backend: the same user always, more users as the share grows. Pure.

A user's bucket in a flag is a number in [0, 1) made of the flag's seed and the targeting key. The flag is on
for the buckets below its rollout, so that the users of 10% are among those of 25%, and two flags with
different seeds choose independently.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class EvaluationReason(StrEnum):
    """Why a flag has its value, in OpenFeature's words."""

    STATIC = "STATIC"
    SPLIT = "SPLIT"


@dataclass(frozen=True, slots=True)
class LocalFlag:
    """The fields of a flag that an evaluation reads. `rollout` is a share between 0 and 1."""

    key: str
    enabled: bool
    rollout: float
    seed: str
    version: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The flag's value for one user, and why."""

    value: bool
    reason: EvaluationReason

    @property
    def variant(self) -> str:
        """The name of the value."""
        return "on" if self.value else "off"


class TargetingKeyMissingError(Exception):
    """The flag is on for a share of users, and the request names no user."""


def evaluate(flag: LocalFlag, targeting_key: str | None) -> Evaluation:
    """Return whether the flag is on for the user.

    Raises `TargetingKeyMissingError` only where the value depends on the user. A flag that is off has the
    value `false`, never a code default.
    """
    if not flag.enabled or flag.rollout <= 0:
        return Evaluation(value=False, reason=EvaluationReason.STATIC)
    if flag.rollout >= 1:
        return Evaluation(value=True, reason=EvaluationReason.STATIC)
    if not targeting_key:
        raise TargetingKeyMissingError(
            f"{flag.key} is on for a share of users: the targetingKey says who asks"
        )
    return Evaluation(value=bucket(flag.seed, targeting_key) < flag.rollout, reason=EvaluationReason.SPLIT)


def bucket(seed: str, targeting_key: str) -> float:
    """Return the user's bucket in the flag: a number in [0, 1), evenly distributed, always the same."""
    digest = hashlib.sha256(f"{len(seed)}:{seed}{targeting_key}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
