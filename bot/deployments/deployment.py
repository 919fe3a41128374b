"""A deployment and its outcome, as plain values. Pure; no clock, no I/O."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.deployments.actor import Actor
from bot.deployments.change import CarriedChange

PRODUCTION = "production"
"""The environment that is production unless declared otherwise, as at GitHub."""

_SHORT_LENGTH = 7
_HASH = re.compile(r"[0-9a-f]{7,64}")


def short_commit(commit: str) -> str:
    """Return a commit as people write it: a hash by its first seven digits, any other name in full."""
    return commit[:_SHORT_LENGTH] if _HASH.fullmatch(commit) else commit


class DeploymentState(StrEnum):
    """How a deployment ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


def is_production(environment: str, declared: bool | None) -> bool:
    """Return whether the environment is production: as declared, else by its name."""
    return environment.casefold() == PRODUCTION if declared is None else declared


@dataclass(frozen=True, slots=True)
class Deployment:
    """An outcome of a deployment. `url` is a page with details, `commit` a hash or a version's name.

    `id` and `state` together identify the outcome. `ref`, `repository` and `url` may be empty. `change`,
    `kind` and `proof` are what the gate is asked about (`PR-12`, `security`, `CVE-2026-1234`). Outcomes of
    one service and environment with the same `run` are those of one deployment. `previous_commit`, `changes`
    and `lines_changed` are what whoever reported it said of them; None if nothing.
    """

    id: str
    environment: str
    commit: str
    by: str
    state: DeploymentState
    started_at: datetime
    finished_at: datetime
    ref: str = ""
    repository: str = ""
    url: str = ""
    change: str | None = None
    kind: str | None = None
    is_production: bool = False
    actor: Actor = Actor.PIPELINE
    run: str | None = None
    previous_commit: str | None = None
    changes: tuple[CarriedChange, ...] | None = None
    lines_changed: int | None = None
    proof: str | None = None

    @property
    def short_commit(self) -> str:
        """The commit as people write it: a hash by its first seven digits, any other name in full."""
        return short_commit(self.commit)

    def is_called(self, name: str) -> bool:
        """Return whether the name is its change, ref or commit in any case, or the beginning of the hash."""
        folded = name.casefold()
        if folded in {own.casefold() for own in (self.change, self.ref, self.commit) if own}:
            return True
        return _HASH.fullmatch(folded) is not None and self.commit.startswith(folded)

    @property
    def subject(self) -> str:
        """The commit and the environment: `3f1c2ab to production`."""
        return f"{self.short_commit} to {self.environment}"

    @property
    def origin(self) -> str:
        """The ref and the repository: `main of acme/checkout`; empty if neither is known."""
        return " of ".join(part for part in (self.ref, self.repository) if part)

    @property
    def reason(self) -> str:
        """The origin, the person and the URL, for the audit log."""
        return " ".join(part for part in (self.origin, f"by {self.by}", self.url) if part)
