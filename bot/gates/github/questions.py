"""Turns GitHub's deliveries into questions: which services, which changes.

A merge queue's group may hold several pull requests; each of them must be allowed to ship. What cannot be
read at GitHub makes a change without a name, which no exemption lets through.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.freezes.verdict import Change
from bot.gates.github.answerer import DEPLOYMENT, GITHUB, MERGE_GROUP, PULL_REQUEST
from bot.gates.github.client import GitHubApp, Purpose, RepositoryAccess
from bot.gates.github.labels import LabelProofs
from bot.gates.github.payloads import (
    CommittedPullRequest,
    MergeGroupBody,
    ProtectionRuleBody,
    PullRequestBody,
    PullRequestRef,
)
from bot.gates.waits.answerer import WaitError
from bot.gates.waits.wait import Question

_CALLBACK: Final = re.compile(r".*/repos/[^/]+/[^/]+/actions/runs/([0-9]{1,15})/deployment_protection_rule")
_QUEUED: Final = re.compile(r"gh-readonly-queue/.+/pr-([0-9]{1,15})-[0-9a-f]+")
_MERGED: Final = re.compile(r"Merge pull request #([0-9]{1,15}) |.*\(#([0-9]{1,15})\)$")
_MOST_PULLS: Final = 50
MERGE_QUEUE_FIRST: Final = {MERGE_GROUP: 0, DEPLOYMENT: 10, PULL_REQUEST: 20}


class QuestionError(ValueError):
    """A delivery asks nothing that can be read. The message says why."""


class QuestionReader:
    """Reads questions; what a delivery does not say, such as whose a commit is, is asked at GitHub."""

    def __init__(self, app: GitHubApp, current: CurrentCatalog) -> None:
        self._app = app
        self._current = current
        self.labels = LabelProofs(app, current)

    async def of_deployment(self, body: ProtectionRuleBody) -> Question:
        """Return the question of a deployment protection rule; raises `QuestionError`."""
        found = _CALLBACK.fullmatch(urlsplit(body.deployment_callback_url).path)
        if found is None:
            raise QuestionError("the callback is not that of a workflow run")
        access, deployment = _access(body), body.deployment
        return Question(
            platform=GITHUB,
            account=str(access.installation),
            key=f"{DEPLOYMENT} {access.id} {deployment.id} {body.environment}",
            kind=DEPLOYMENT,
            services=services_of(self._current.catalog, access.full_name, body.environment),
            changes=(await self._change_of_commit(access, deployment.sha, body.environment),),
            place=_place(access)
            | {"run": int(found[1]), "deployment": deployment.id, "environment": body.environment},
            priority=MERGE_QUEUE_FIRST[DEPLOYMENT],
            begins=True,
        )

    async def of_merge_group(self, body: MergeGroupBody) -> Question:
        """Return the question of a merge queue's group."""
        access, group = _access(body), body.merge_group
        return Question(
            platform=GITHUB,
            account=str(access.installation),
            key=merge_group_key(body),
            kind=MERGE_GROUP,
            services=services_of(self._current.catalog, access.full_name),
            changes=await self._changes_of_group(access, body),
            place=_place(access)
            | {
                "head_sha": group.head_sha,
                "head_ref": group.head_ref,
                "name": self._current.workspace.gates.github.check_name,
            },
            priority=MERGE_QUEUE_FIRST[MERGE_GROUP],
        )

    async def of_pull_request(self, body: PullRequestBody) -> Question:
        """Return the question of a pull request."""
        access, pull = _access(body), body.pull_request
        return Question(
            platform=GITHUB,
            account=str(access.installation),
            key=pull_request_key(access.id, pull.number, pull.head.sha),
            kind=PULL_REQUEST,
            services=services_of(self._current.catalog, access.full_name),
            changes=(await self._change(access, pull),),
            place=_place(access)
            | {
                "head_sha": pull.head.sha,
                "number": pull.number,
                "title": pull.title,
                "name": self._current.workspace.gates.github.check_name,
            },
            priority=MERGE_QUEUE_FIRST[PULL_REQUEST],
        )

    async def _change_of_commit(self, access: RepositoryAccess, sha: str, environment: str) -> Change:
        """Return the pull request that a commit merged, or the commit itself."""
        try:
            found = await self._app.call(access, Purpose.MERGE_GROUPS, "GET", f"commits/{sha}/pulls")
            pulls = [CommittedPullRequest.model_validate(each) for each in _list(found)]
        except (WaitError, ValidationError):
            pulls = []
        merged = [pull for pull in pulls if sha in (pull.merge_commit_sha, pull.head.sha)]
        if len(merged) == 1:
            return replace(await self._change(access, merged[0]), environment=environment)
        return Change(sha, environment=environment, commit=sha)

    async def _changes_of_group(self, access: RepositoryAccess, body: MergeGroupBody) -> tuple[Change, ...]:
        queued = _QUEUED.fullmatch(body.merge_group.head_ref.removeprefix("refs/heads/"))
        numbers = {int(queued[1])} if queued else set()
        group = body.merge_group
        changes: list[Change] = []
        try:
            path = f"compare/{group.base_sha}...{group.head_sha}"
            compared = await self._app.call(access, Purpose.MERGE_GROUPS, "GET", path)
            numbers |= _merged_by(compared)
        except (WaitError, ValueError):
            changes.append(Change())
        if len(numbers) > _MOST_PULLS:
            changes.append(Change())
        for number in sorted(numbers)[:_MOST_PULLS]:
            try:
                found = await self._app.call(access, Purpose.MERGE_GROUPS, "GET", f"pulls/{number}")
                changes.append(await self._change(access, PullRequestRef.model_validate(found)))
            except (WaitError, ValidationError):
                changes.append(Change(f"PR-{number}"))
        return tuple(changes) or (Change(),)

    async def _change(self, access: RepositoryAccess, pull: PullRequestRef) -> Change:
        kind, proof = await self.labels.kind_of(access, pull)
        return Change(f"PR-{pull.number}", kind, commit=pull.head.sha, vouched=proof)


def services_of(catalog: Catalog, repository: str, environment: str | None = None) -> tuple[str, ...]:
    """Return the services that are deployed from a repository to an environment; None means any.

    What `gates.github.repositories` says of the repository counts, else the `repository` of services.
    """
    folded = repository.casefold()
    named = [
        each for each in catalog.workspace.gates.github.repositories if each.repository.casefold() == folded
    ]
    if named:
        found = [
            service
            for each in named
            if environment is None
            or not each.environments
            or environment.casefold() in {name.casefold() for name in each.environments}
            for service in each.services
        ]
        return tuple(dict.fromkeys(found))
    return tuple(
        service.name
        for service in catalog.services.values()
        if service.repository is not None and service.repository.casefold() == folded
    )


def merge_group_key(body: MergeGroupBody) -> str:
    """Return the name of the question of a merge queue's group."""
    return f"{MERGE_GROUP} {body.repository.id} {body.merge_group.head_sha}"


def pull_request_key(repository: int, number: int, sha: str) -> str:
    """Return the name of the question of a pull request at a commit."""
    return f"{PULL_REQUEST} {repository} {number} {sha}"


def _access(body: ProtectionRuleBody | MergeGroupBody | PullRequestBody) -> RepositoryAccess:
    return RepositoryAccess(body.installation.id, body.repository.id, body.repository.full_name)


def _place(access: RepositoryAccess) -> dict[str, Any]:
    return {"repository": access.full_name, "repository_id": access.id}


def _merged_by(compared: Any) -> set[int]:
    """Return the pull requests that the commits of a comparison merge; raises `ValueError`."""
    commits = compared.get("commits") if isinstance(compared, dict) else None
    if not isinstance(commits, list) or compared.get("total_commits", 0) > len(commits):
        raise ValueError("the comparison is not whole")
    numbers = set()
    for commit in commits:
        part = commit.get("commit") if isinstance(commit, dict) else None
        lines = str(part.get("message", "")).splitlines() if isinstance(part, dict) else []
        found = _MERGED.match(lines[0]) if lines else None
        if found is not None:
            numbers.add(int(found[1] or found[2]))
    return numbers


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
