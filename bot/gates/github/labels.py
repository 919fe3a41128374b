"""Labels of pull requests as proofs of their kind: who set one, and whether they are of the named team.

https://docs.github.com/en/rest/issues/events#list-issue-events-for-an-issue
https://docs.github.com/en/rest/teams/members#get-team-membership-for-a-user
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import structlog

from bot.catalog.current import CurrentCatalog
from bot.catalog.gates import GitHubLabel
from bot.freezes.kind_proof import KindProof, ProofSort
from bot.gates.github.client import GitHubApp, Purpose, RepositoryAccess
from bot.gates.github.payloads import PullRequestRef
from bot.gates.waits.answerer import PlatformGoneError, WaitError
from bot.texts import clean_line

log = structlog.get_logger(__name__)

_PER_PAGE: Final = 100
_MOST_PAGES: Final = 10
_OF_LABELS: Final = frozenset({"labeled", "unlabeled"})


class LabelProofs:
    """Reads which kind a pull request's labels prove."""

    def __init__(self, app: GitHubApp, current: CurrentCatalog) -> None:
        self._app = app
        self._current = current

    def names(self) -> frozenset[str]:
        """Return the labels that prove something, in lower case."""
        return frozenset(each.label.casefold() for each in self._current.workspace.gates.github.labels)

    async def kind_of(
        self, access: RepositoryAccess, pull: PullRequestRef
    ) -> tuple[str | None, KindProof | None]:
        """Return the kind that a label names, and what proves it; neither where none of the labels counts."""
        has = {label.name.casefold() for label in pull.labels}
        named = [each for each in self._current.workspace.gates.github.labels if each.label.casefold() in has]
        for label in named:
            try:
                login = await self._who_set(access, pull.number, label.label)
                if login is not None and await self._is_member(access, label, login):
                    said = f"label {label.label}, set by {login} of {label.team}"
                    return label.kind, KindProof(ProofSort.LABEL, said)
            except WaitError as error:
                # What cannot be read proves nothing.
                log.warning("label_not_read", repository=access.full_name, problem=str(error))
        return (named[0].kind, None) if named else (None, None)

    async def _who_set(self, access: RepositoryAccess, number: int, label: str) -> str | None:
        """Return who set the label last; None where it was taken away since the delivery."""
        found = None
        for page in range(1, _MOST_PAGES + 1):
            path = f"issues/{number}/events?per_page={_PER_PAGE}&page={page}"
            events = _objects(await self._app.call(access, Purpose.TEAMS, "GET", path))
            for event in events:
                if event.get("event") in _OF_LABELS and _is_named(event, label):
                    login = _text(event.get("actor"), "login") if event["event"] == "labeled" else None
                    found = clean_line(login, 80) if login else None
            if len(events) < _PER_PAGE:
                return found
        # There is more than was read: who set it last is not known.
        return None

    async def _is_member(self, access: RepositoryAccess, label: GitHubLabel, login: str) -> bool:
        organization, _, team = label.team.partition("/")
        path = f"/orgs/{quote(organization)}/teams/{quote(team)}/memberships/{quote(login, safe='')}"
        try:
            membership = await self._app.call(access, Purpose.TEAMS, "GET", path)
        except PlatformGoneError:
            return False
        return _text(membership, "state") == "active"


def _is_named(event: dict[str, Any], label: str) -> bool:
    name = _text(event.get("label"), "name")
    return name is not None and name.casefold() == label.casefold()


def _text(part: Any, name: str) -> str | None:
    value = part.get(name) if isinstance(part, dict) else None
    return value if isinstance(value, str) else None


def _objects(value: Any) -> Sequence[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
