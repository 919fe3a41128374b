"""A deployment and its outcome, as plain values. Pure; no clock, no I/O."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PRODUCTION = "production"
"""The environment that counts as production where nobody says otherwise, as at GitHub."""

_SHORT = 7
_HASH = re.compile(r"[0-9a-f]{7,64}")


class State(StrEnum):
    """How a deployment ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One outcome of one deployment. `url` is where to read more, `commit` a hash or a version's name.

    `id` is the deployment's own: with the state it tells this outcome from all others. `ref`, `repository`
    and `url` may be empty.
    """

    id: str
    environment: str
    commit: str
    by: str
    state: State
    started_at: datetime
    finished_at: datetime
    ref: str = ""
    repository: str = ""
    url: str = ""

    @property
    def short(self) -> str:
        """The commit as people write it: a hash by its first seven digits, anything else whole."""
        return self.commit[:_SHORT] if _HASH.fullmatch(self.commit) else self.commit

    @property
    def subject(self) -> str:
        """Name what went where: `3f1c2ab to production`."""
        return f"{self.short} to {self.environment}"

    @property
    def origin(self) -> str:
        """Say what it was made from: `main of acme/checkout`; empty where nobody said."""
        return " of ".join(part for part in (self.ref, self.repository) if part)

    @property
    def reason(self) -> str:
        """Say from what, by whom, and where to read more."""
        return " ".join(part for part in (self.origin, f"by {self.by}", self.url) if part)
