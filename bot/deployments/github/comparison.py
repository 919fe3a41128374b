"""The commits between two deployments, by GitHub's comparison of them. Reading the answer is pure.

A commit was first on the default branch when it was committed there itself, or when the merge commit that
brought it was: GitHub gives squashed and rebased commits the time of the merge. So no further request is
needed, and a commit that waited for months on a branch counts from its merge. Merge commits are no changes.

https://docs.github.com/en/rest/commits/commits#compare-two-commits
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from bot.deployments.change import LONGEST_TITLE, CarriedChange
from bot.deployments.github.client import GitHubClient, GitHubRefusedError, GitHubUnavailableError
from bot.texts import clean_line

MOST_COMMITS: Final = 10_000
"""How many commits of one deployment are read."""

_PAGE = 100
_MERGED = re.compile(r"Merge pull request #(\d{1,10}) ")
_SQUASHED = re.compile(r"\(#(\d{1,10})\)$")
_REVERTED_COMMIT = re.compile(r"This reverts commit ([0-9a-f]{7,64})")
_REVERTED_PULL = re.compile(r"^Reverts (?:[\w.-]+/[\w.-]+)?#(\d{1,10})\s*$", re.MULTILINE)


class ComparingPart(BaseModel):
    """A part of an answer, of which only what is named is read."""

    model_config = ConfigDict(extra="ignore")


class SignaturePart(ComparingPart):
    """Who and when; only when is read."""

    date: AwareDatetime | None = None


class CommitTextPart(ComparingPart):
    """The commit itself."""

    message: str = ""
    author: SignaturePart | None = None
    committer: SignaturePart | None = None


class ParentPart(ComparingPart):
    """A commit before it."""

    sha: str


class ComparedCommitPart(ComparingPart):
    """A commit of a comparison."""

    sha: str = Field(pattern="^[0-9a-f]{40,64}$")
    commit: CommitTextPart
    parents: list[ParentPart] = []


class ComparedFilePart(ComparingPart):
    """A file that differs."""

    changes: int = 0


class ComparisonPart(ComparingPart):
    """A page of a comparison."""

    status: Literal["ahead", "behind", "diverged", "identical"]
    behind_by: int = 0
    total_commits: int = 0
    commits: list[ComparedCommitPart] = []
    files: list[ComparedFilePart] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a deployment carried. `behind_by` commits of the one before are not in it.

    `lines_changed` counts the first 300 files, which is all that GitHub tells.
    """

    changes: tuple[CarriedChange, ...]
    lines_changed: int
    behind_by: int = 0


async def compare(client: GitHubClient, repository: str, base: str, head: str) -> Comparison:
    """Return what `head` has and `base` has not; raises `GitHubError`."""
    names = "...".join(quote(name, safe="") for name in (base, head))
    owner, _, name = repository.partition("/")
    path = f"repos/{quote(owner, safe='')}/{quote(name, safe='')}/compare/{names}"
    page = await client.first(path, per_page=str(_PAGE), page="1")
    first = _read(page.body)
    if first.total_commits > MOST_COMMITS:
        raise GitHubRefusedError(200, f"it carried more than {MOST_COMMITS:,} commits")
    commits = list(first.commits)
    while page.following is not None and len(commits) < first.total_commits:
        page = await client.following(page.following)
        commits += _read(page.body).commits
    if len(commits) < first.total_commits:
        raise GitHubUnavailableError(
            f"GitHub told {len(commits)} of the {first.total_commits} commits of a comparison"
        )
    lines = sum(file.changes for file in first.files or ())
    return Comparison(carried(commits), lines, first.behind_by)


def carried(commits: Sequence[ComparedCommitPart]) -> tuple[CarriedChange, ...]:
    """Return the changes of a comparison's commits, which end with the one that was deployed."""
    by_sha = {commit.sha: commit for commit in commits}
    landings = _landings(by_sha, commits[-1].sha) if commits else {}
    return tuple(
        _change(commit, by_sha[landings.get(commit.sha, commit.sha)])
        for commit in by_sha.values()
        if len(commit.parents) < 2
    )


def _landings(commits: Mapping[str, ComparedCommitPart], head: str) -> Mapping[str, str]:
    """Return for each commit the one with which it came to the branch, by their hashes.

    The branch is the chain of first parents.
    """
    landings: dict[str, str] = {}
    sha: str | None = head
    while sha is not None and sha in commits and sha not in landings:
        landings[sha] = sha
        parents = commits[sha].parents
        sha = parents[0].sha if parents else None
    for landing in reversed(list(landings)):
        waiting = [parent.sha for parent in commits[landing].parents[1:]]
        while waiting:
            commit = waiting.pop()
            if commit in commits and commit not in landings:
                landings[commit] = landing
                waiting += [parent.sha for parent in commits[commit].parents]
    return landings


def _change(commit: ComparedCommitPart, landing: ComparedCommitPart) -> CarriedChange:
    message = commit.commit.message
    title = message.strip().partition("\n")[0].strip()
    committer = landing.commit.committer
    return CarriedChange(
        commit.sha,
        clean_line(title, LONGEST_TITLE),
        _pull(landing.commit.message) or _pull(message),
        commit.commit.author.date if commit.commit.author else None,
        committer.date if committer else None,
        _reverted(message),
    )


def _pull(message: str) -> str | None:
    title = message.strip().partition("\n")[0].strip()
    match = _MERGED.match(title) or _SQUASHED.search(title)
    return None if match is None else f"PR-{match[1]}"


def _reverted(message: str) -> str | None:
    if commit := _REVERTED_COMMIT.search(message):
        return commit[1]
    pull = _REVERTED_PULL.search(message)
    return None if pull is None else f"PR-{pull[1]}"


def _read(body: Any) -> ComparisonPart:
    try:
        return ComparisonPart.model_validate(body)
    except ValidationError as error:
        raise GitHubUnavailableError("GitHub answered without a comparison of the two commits") from error
