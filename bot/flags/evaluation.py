"""Who sees a flag of the `local` backend: the same user always, more users as the share grows. Pure.

A user's place in a flag is a number in [0, 1) made of the flag's seed and the targeting key. The flag is on
for those below its rollout, so that the users of 10 % are among those of 25 %, and two flags with different
seeds choose independently.
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
    """What an evaluation needs to know of a flag. `rollout` is a share between 0 and 1."""

    key: str
    enabled: bool
    rollout: float
    seed: str
    version: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer for one user."""

    value: bool
    reason: EvaluationReason

    @property
    def variant(self) -> str:
        """The name of the value."""
        return "on" if self.value else "off"


class TargetingKeyMissingError(Exception):
    """The flag is on for a share of users, and the asker did not say who the user is."""


def evaluate(flag: LocalFlag, targeting_key: str | None) -> Evaluation:
    """Return whether the flag is on for the user.

    Raises `TargetingKeyMissingError` only where the answer depends on the user. A flag that is off answers
    `false` as a value of its own, never a code default.
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
    """Return the user's place in the flag: a number in [0, 1), evenly spread, the same for ever."""
    digest = hashlib.sha256(f"{len(seed)}:{seed}{targeting_key}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
