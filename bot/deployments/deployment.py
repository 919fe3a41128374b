"""A deployment and its outcome, as plain values. Pure; no clock, no I/O."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PRODUCTION = "production"
"""The environment that counts as production where nobody says otherwise, as at GitHub."""

_SHORT = 7
_HASH = re.compile(r"[0-9a-f]{7,64}")


class DeploymentState(StrEnum):
    """How a deployment ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One outcome of one deployment. `url` is where to read more, `commit` a hash or a version's name.

    `id` is the deployment's own: with the state it tells this outcome from all others. `ref`, `repository`
    and `url` may be empty. `change` and `kind` are what the gate is asked with (`PR-12`, `security`).
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

    @property
    def short(self) -> str:
        """The commit as people write it: a hash by its first seven digits, anything else whole."""
        return self.commit[:_SHORT] if _HASH.fullmatch(self.commit) else self.commit

    def is_called(self, name: str) -> bool:
        """Return whether people mean this by a name: its change, ref or commit, or the hash's beginning."""
        wanted = name.casefold()
        if wanted in {one.casefold() for one in (self.change, self.ref, self.commit) if one}:
            return True
        return _HASH.fullmatch(wanted) is not None and self.commit.startswith(wanted)

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
