"""Why a deployment was unplanned work after a failure, in words. Pure; no clock, no I/O.

By dora.dev's definition the deployment rework rate counts deployments that were not planned but made because
something failed. What says so: it undid another one, its change takes one back, is called or labelled a
hotfix, comes from a branch for hotfixes, or names an incident.
"""

import re
from collections.abc import Collection, Iterable

from bot.deployments.undoing import is_revert, undone_title

MOST = 300
_HOTFIX = re.compile(r"(?:^|[/:_\s-])hot[-_ ]?fix(?:$|[/:_\s-])", re.IGNORECASE)
_BRANCH = re.compile(r"^(?:refs/heads/|origin/)?(?P<name>.+)$")
_INCIDENT = re.compile(
    r"\b(?:incident|inc)(?:\s*[#/-]\s*|\s+(?:no\.?\s*)?#?)(?P<number>[0-9]{1,9})\b", re.IGNORECASE
)
_LONGEST_TITLE = 120
_UNDOING = ("it rolled back ",)


def undoing_reason(undone: str) -> str:
    """Return the reason of a deployment that undid the one of that commit."""
    return f"{_UNDOING[0]}{undone}"[:MOST]


def is_of_undoing(reason: str | None) -> bool:
    """Return whether a reason is that it undid another deployment."""
    return reason is not None and reason.startswith(_UNDOING)


def rework_reason(
    *,
    ref: str = "",
    kind: str | None = None,
    titles: Iterable[str] = (),
    reverting: Collection[str] = (),
    labels: Iterable[str] = (),
) -> str | None:
    """Return why a deployment was rework, going by its branch, its declared kind and its changes, or None.

    `reverting` are the titles of changes that take others back by their messages.
    """
    if kind is not None and _HOTFIX.search(kind):
        return f"it was declared as a {kind}"[:MOST]
    branch = _BRANCH.match(ref.strip())
    if branch is not None and _HOTFIX.search(branch["name"]):
        return f"it came from the branch {branch['name']}"[:MOST]
    for label in labels:
        if _HOTFIX.search(label):
            return f"its change is labelled {label}"[:MOST]
    for title in titles:
        if reason := _reason_of_title(" ".join(title.split()), reverts=title in reverting):
            return reason[:MOST]
    return None


def _reason_of_title(title: str, *, reverts: bool) -> str | None:
    if is_revert(title) or (reverts and undone_title(title) is None):
        undone = undone_title(title)
        return f"its change “{_short(title)}” is a revert" if undone is None else _taking_back(undone)
    if _HOTFIX.search(title.partition(":")[0] if ":" in title else title):
        return f"its change “{_short(title)}” is a hotfix"
    if (match := _INCIDENT.search(title)) is not None:
        return f"its change names incident {match['number']}"
    return None


def _taking_back(title: str) -> str:
    return f"its change takes back “{_short(title)}”"


def _short(title: str) -> str:
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1].rstrip()}…"
