"""What GitHub is told of what waits there, and what it says became of it.

A deployment waits silently: it gets a note at the start and one for each changed reason, and is approved
when the freeze ends. A merge queue's group and a pull request get a check run, which is changed.

https://docs.github.com/en/rest/actions/workflow-runs#review-custom-deployment-protection-rules-for-a-workflow-run
https://docs.github.com/en/rest/checks/runs
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from bot.catalog.current import CurrentCatalog
from bot.catalog.gates import GitHubGateSettings, OnFreeze, PullRequestChecks
from bot.freezes.verdict import VerdictAnswer
from bot.gates.github import content
from bot.gates.github.client import GitHubApp, Purpose, RepositoryAccess
from bot.gates.waits.answerer import PlatformGoneError, PlatformUnsureError
from bot.gates.waits.limits import CallLimit
from bot.gates.waits.wait import PlatformCall, Seen, Wait, WaitStanding

GITHUB: Final = "github"
DEPLOYMENT: Final = "deployment"
MERGE_GROUP: Final = "merge-group"
PULL_REQUEST: Final = "pull-request"

POST: Final = "post"
CONTENT: Final = "content"
_MINUTE: Final = timedelta(minutes=1)
LIMITS: Final = (
    CallLimit(POST, 180, _MINUTE),
    CallLimit(CONTENT, 80, _MINUTE),
    CallLimit(CONTENT, 500, timedelta(hours=1)),
    # Merge queues and deployments keep half of it for themselves.
    CallLimit(PULL_REQUEST, 40, _MINUTE),
    CallLimit(PULL_REQUEST, 250, timedelta(hours=1)),
)
"""What one installation may send: 900 points a minute, five for each call that changes something."""
_MOST_NOTES: Final = 9
"""GitHub takes ten for one deployment; the last one is kept for the answer."""
_MOST_CHANGES: Final = 20


class GitHubAnswerer:
    """Tells GitHub how deployments, merge groups and pull requests stand."""

    platform = GITHUB
    limits: Sequence[CallLimit] = LIMITS

    def __init__(self, app: GitHubApp, current: CurrentCatalog) -> None:
        self._app = app
        self._current = current

    @property
    def _settings(self) -> GitHubGateSettings:
        return self._current.workspace.gates.github

    def next_call(self, wait: Wait, standing: WaitStanding, now: datetime) -> PlatformCall | None:
        """Return what GitHub is to be told now."""
        del now
        if wait.question.kind == DEPLOYMENT:
            return _review(wait, standing, self._settings)
        return _check(wait, standing, self._settings)

    async def send(self, wait: Wait, call: PlatformCall) -> Mapping[str, Any]:
        """Tell GitHub."""
        access, place = access_of(wait), wait.place
        if wait.question.kind == DEPLOYMENT:
            path = f"actions/runs/{place['run']}/deployment_protection_rule"
            await self._app.call(access, Purpose.DEPLOYMENTS, "POST", path, call.content)
            return {}
        if (number := place.get("check_run")) is not None:
            path = f"check-runs/{number}"
            await self._app.call(access, Purpose.CHECKS, "PATCH", path, call.content)
            return {}
        created = await self._app.call(access, Purpose.CHECKS, "POST", "check-runs", call.content)
        return {"check_run": created["id"]} if isinstance(created, dict) and "id" in created else {}

    async def look(self, wait: Wait) -> Seen:
        """Ask GitHub what became of a wait."""
        if wait.question.kind == DEPLOYMENT:
            return await self._look_at_deployment(wait)
        return await self._look_at_check(wait)

    async def _look_at_deployment(self, wait: Wait) -> Seen:
        access, place = access_of(wait), wait.place
        name = str(place["environment"]).casefold()
        run = f"actions/runs/{place['run']}"
        pending = await self._app.call(access, Purpose.DEPLOYMENTS, "GET", f"{run}/pending_deployments")
        waits = any(_environment(each) == name for each in _objects(pending))
        if waits and wait.sending_at is not None:
            # The environment may wait for others, who have not decided yet.
            reviews = await self._app.call(access, Purpose.DEPLOYMENTS, "GET", f"{run}/approvals")
            waits = not any(_is_ours(review, wait, name) for review in _objects(reviews))
        return Seen(is_waiting=waits, outcome="told" if wait.sending_at is not None and not waits else None)

    async def _look_at_check(self, wait: Wait) -> Seen:
        access, place = access_of(wait), wait.place
        if wait.question.kind == MERGE_GROUP:
            # The branch of a group that was merged or dissolved is gone: this raises that.
            branch = quote(str(place["head_ref"]).removeprefix("refs/"), safe="/")
            await self._app.call(access, Purpose.MERGE_GROUPS, "GET", f"git/ref/{branch}")
        elif not await self._is_to_be_merged(wait):
            return Seen(is_waiting=False)
        number = place.get("check_run")
        if number is None:
            query = f"check_name={quote(str(place['name']), safe='')}&filter=all&per_page=100"
            path = f"commits/{place['head_sha']}/check-runs?{query}"
            listed = await self._app.call(access, Purpose.CHECKS, "GET", path)
            found = listed.get("check_runs") if isinstance(listed, dict) else None
            own = [run for run in _objects(found) if run.get("external_id") == wait.question.key]
            return _seen(own[0], wait) if own else Seen(is_waiting=True)
        run = await self._app.call(access, Purpose.CHECKS, "GET", f"check-runs/{number}")
        if not isinstance(run, dict):
            raise PlatformGoneError("GitHub answered without a check run")
        return _seen(run, wait)

    async def _is_to_be_merged(self, wait: Wait) -> bool:
        """Return whether a pull request is open, at the commit that it was asked about."""
        path = f"pulls/{wait.place['number']}"
        pull = await self._app.call(access_of(wait), Purpose.MERGE_GROUPS, "GET", path)
        head = pull.get("head") if isinstance(pull, dict) else None
        if not isinstance(head, dict):
            raise PlatformUnsureError("GitHub answered without a pull request")
        return bool(pull.get("state") == "open" and head.get("sha") == wait.place["head_sha"])


def access_of(wait: Wait) -> RepositoryAccess:
    """Return how the App may use the repository of a wait."""
    place = wait.place
    return RepositoryAccess(int(wait.question.account), int(place["repository_id"]), str(place["repository"]))


def _review(wait: Wait, standing: WaitStanding, settings: GitHubGateSettings) -> PlatformCall | None:
    """Return the review of a deployment, or the note on why it waits."""
    environment = {"environment_name": wait.place["environment"]}
    deployment = wait.place.get("deployment")
    said = "; ".join(content.reasons_of(standing))
    if standing.answer is VerdictAnswer.GO:
        body = environment | {"state": "approved", "comment": content.approval(standing, deployment)}
        return PlatformCall(said, "approved", (POST,), body)
    is_known = bool(wait.question.services)
    if standing.answer is VerdictAnswer.BACK or (settings.on_freeze is OnFreeze.REJECT and is_known):
        body = environment | {"state": "rejected", "comment": content.rejection(standing, deployment)}
        return PlatformCall(said, "rejected", (POST,), body)
    if said == wait.note or wait.notes >= _MOST_NOTES:
        return None
    return PlatformCall(said, None, (POST, CONTENT), environment | {"comment": content.note(standing)})


def _check(wait: Wait, standing: WaitStanding, settings: GitHubGateSettings) -> PlatformCall | None:
    """Return how the check run is to be; None where it is so already."""
    is_new = wait.place.get("check_run") is None
    asked_by = wait.place.get("asked_by")
    conclusion, is_final = _conclusion(wait, standing, settings)
    said = "; ".join(content.reasons_of(standing))
    if asked_by is not None:
        said = f"{said}; asked by {asked_by}"
    if not is_final and (said == wait.note or wait.notes >= _MOST_CHANGES):
        return None
    has_button = (
        wait.question.kind == PULL_REQUEST and standing.answer is VerdictAnswer.WAIT and asked_by is None
    )
    body = content.check_run(
        str(wait.place["name"]),
        str(wait.place["head_sha"]),
        wait.question.key,
        standing,
        conclusion=conclusion,
        has_button=has_button,
        asked_by=asked_by,
    )
    if not is_new:
        del body["head_sha"]
    costs: tuple[str, ...] = (POST,)
    if is_new:
        costs = (POST, CONTENT, PULL_REQUEST) if wait.question.kind == PULL_REQUEST else (POST, CONTENT)
    return PlatformCall(said, conclusion if is_final else None, costs, body)


def _conclusion(wait: Wait, standing: WaitStanding, settings: GitHubGateSettings) -> tuple[str | None, bool]:
    """Return the conclusion of the check run, and whether it is the last word."""
    if standing.answer is VerdictAnswer.GO:
        return "success", True
    if standing.answer is VerdictAnswer.BACK:
        return "failure", True
    if wait.question.kind == MERGE_GROUP:
        is_rejected = settings.on_freeze is OnFreeze.REJECT and bool(wait.question.services)
        return ("failure", True) if is_rejected else (None, False)
    if settings.pull_requests is PullRequestChecks.WAIT:
        return None, False
    return "neutral", wait.place.get("asked_by") is None


def _seen(run: Mapping[str, Any], wait: Wait) -> Seen:
    conclusion = run.get("conclusion")
    is_asked = conclusion == "neutral" and wait.place.get("asked_by") is not None
    waits = run.get("status") != "completed" or is_asked
    place = {"check_run": run["id"]} if isinstance(run.get("id"), int) else {}
    return Seen(is_waiting=waits, place=place, outcome=None if waits else str(conclusion))


def _is_ours(review: Mapping[str, Any], wait: Wait, environment: str) -> bool:
    """Return whether a review is the answer to the wait: a run that was started again has older ones, too."""
    said = str(review.get("comment") or "")
    is_of_it = f" {content.deployment_named(wait.place.get('deployment'))} " in said.replace(":", " ")
    names = [_name(each) for each in _objects(review.get("environments"))]
    is_answer = said.startswith("Governor ") and review.get("state") != "pending"
    return is_answer and is_of_it and environment in names


def _environment(pending: Mapping[str, Any]) -> str:
    part = pending.get("environment")
    return _name(part) if isinstance(part, dict) else ""


def _name(part: Mapping[str, Any]) -> str:
    return str(part.get("name", "")).casefold()


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
