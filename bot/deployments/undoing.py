"""What a deployment undoes: rollbacks by their commits, reverts by the titles of their changes. Pure.

- Who deploys a commit that was in production before the present one rolls back. What it undoes is the
  deployment that brought the present commit: after a rollback by two steps, each step undoes its own.
- Who then deploys the newer commit again rolls forward. That undoes the rollback, which is no failure of it
  (`judgement.py`).
- A commit that the present one contains ("behind" in the forge's comparison) is a rollback too.
- A change called `Revert "…"` undoes the deployment that carried that change, `Reapply "…"` the one that
  carried its revert.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.deployments.judgement import LinkMeans, restorations

REVERTED_WITHIN = timedelta(days=30)
"""How long after a deployment a revert of its change says that it failed; later ones are planned work."""
_REVERT = re.compile(r'revert:?\s+["“](?P<title>.+)["”]', re.IGNORECASE)
_REAPPLY = re.compile(r'reapply\s+["“](?P<title>.+)["”]', re.IGNORECASE)
_REVERTED_COMMIT = re.compile(r"\bthis reverts commit (?P<commit>[0-9a-f]{7,64})\b", re.IGNORECASE)
_NUMBER = re.compile(r"\s*\([#!][0-9]+\)$")


@dataclass(frozen=True, slots=True)
class EarlierDeployment:
    """A deployment to production that succeeded; `undoes` is the id of the one that it undid."""

    id: str
    commit: str
    finished_at: datetime
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class Undoing:
    """The id of the deployment that is undone, and how. `is_failure`: that says that it failed."""

    deployment: str
    means: LinkMeans
    is_failure: bool = True


def rollback(history: Sequence[EarlierDeployment], commit: str, *, is_behind: bool = False) -> Undoing | None:
    """Return what deploying a commit undoes, going by what was deployed before; None where nothing.

    `history` are the deployments before it in the same environment, oldest first, without its own run.
    `is_behind`: the present commit contains it.
    """
    if not history or history[-1].commit == commit:
        return None
    present = history[-1]
    first: dict[str, int] = {}
    for position, past in enumerate(history):
        first.setdefault(past.commit, position)
    restoring = restorations({past.id: past.undoes for past in history})
    if is_behind or first.get(commit, len(history)) < first[present.commit]:
        brought = [past for past in history if past.commit == present.commit]
        forward = [past for past in brought if past.id not in restoring]
        return Undoing((forward or brought)[-1].id, LinkMeans.ROLLBACK)
    if commit in first and present.id in restoring:
        return Undoing(present.id, LinkMeans.ROLLBACK, is_failure=False)
    return None


def undone_title(title: str) -> str | None:
    """Return the title of the change that a change with this title undoes; None where it undoes none."""
    plain = _NUMBER.sub("", title.strip())
    if (match := _REVERT.fullmatch(plain)) is not None:
        return _NUMBER.sub("", match["title"])
    if (match := _REAPPLY.fullmatch(plain)) is not None:
        return f'Revert "{match["title"]}"'
    return None


def undone_commit(title: str) -> str | None:
    """Return the commit, or its beginning, that a text says it reverts."""
    match = _REVERTED_COMMIT.search(title)
    return None if match is None else match["commit"].casefold()


def is_revert(title: str) -> bool:
    """Return whether a change takes another back, and does not bring one again."""
    undone = undone_title(title)
    return undone_commit(title) is not None or (undone is not None and undone_title(undone) is None)


def is_titled(title: str, wanted: str) -> bool:
    """Return whether a change has a title, whatever pull request stands behind it."""
    return _NUMBER.sub("", title.strip()).casefold() == _NUMBER.sub("", wanted.strip()).casefold()


def is_failed_by(undoes: Mapping[str, str | None], undone: str) -> bool:
    """Return whether undoing a deployment says that it failed: not where it was a rollback itself."""
    return undone not in restorations(undoes)
