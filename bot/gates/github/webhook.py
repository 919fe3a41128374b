"""`POST /gates/github`: what GitHub delivers to the App, signed with the App's webhook secret.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import structlog
from aiohttp import web
from gidgethub import ValidationFailure, sansio
from pydantic import BaseModel, ValidationError

from bot.bounded_body import parse_json
from bot.catalog.current import CurrentCatalog
from bot.catalog.gates import PullRequestChecks
from bot.gates.github import content
from bot.gates.github.answerer import DEPLOYMENT, GITHUB, MERGE_GROUP, PULL_REQUEST
from bot.gates.github.exemption_button import ExemptionButton
from bot.gates.github.payloads import (
    CheckRunBody,
    MergeGroupBody,
    ProtectionRuleBody,
    PullRequestBody,
)
from bot.gates.github.questions import (
    QuestionError,
    QuestionReader,
    merge_group_key,
    pull_request_key,
    services_of,
)
from bot.gates.waits.records import GateWaits
from bot.gates.waits.wait import WaitState

log = structlog.get_logger(__name__)

Body = TypeVar("Body", bound=BaseModel)

PATH: Final = "/gates/github"
MOST_BYTES: Final = 1024 * 1024
_SIGNATURE: Final = "X-Hub-Signature-256"
_WITHIN_S: Final = 8.0
"""GitHub takes a delivery for failed after 10 seconds."""
_SETTING: Final = "set GITHUB_APP_WEBHOOK_SECRET where the bot runs, and the same secret in the App"
_LABELS: Final = frozenset({"labeled", "unlabeled"})
_NEW_HEADS: Final = frozenset({"opened", "reopened", "synchronize", "ready_for_review"})

EVENTS: Final = ("deployment_protection_rule", "merge_group", "pull_request", "check_run")
"""The events that the App subscribes to."""


class GitHubAppWebhook:
    """The App's webhook. A delivery that is repeated changes nothing."""

    def __init__(
        self,
        secrets: Sequence[str],
        reader: QuestionReader | None,
        waits: GateWaits,
        button: ExemptionButton,
        current: CurrentCatalog,
    ) -> None:
        self._secrets = tuple(secrets)
        self._reader = reader
        self._waits = waits
        self._button = button
        self._current = current
        self._events: Mapping[str, Callable[[Any, str], Awaitable[str]]] = {
            "deployment_protection_rule": self._deployment,
            "merge_group": self._merge_group,
            "pull_request": self._pull_request,
            "check_run": self._check_run,
        }

    def add_routes(self, app: web.Application) -> None:
        """Add the address."""
        app.router.add_post(PATH, self._post)

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.clone(client_max_size=MOST_BYTES).read()
        if not self._secrets or self._reader is None:
            raise web.HTTPUnauthorized(reason=f"the App is not set up: {_SETTING}")
        if not _is_signed(body, request.headers.get(_SIGNATURE, ""), self._secrets):
            raise web.HTTPUnauthorized(reason=f"the signature in {_SIGNATURE} does not fit the body")
        try:
            payload = parse_json(body)
        except ValueError as error:
            raise web.HTTPBadRequest(reason="the body is not JSON") from error
        event = request.headers.get("X-GitHub-Event", "")
        take = self._events.get(event)
        if take is None or not isinstance(payload, dict):
            return _taken(f"{event[:50]!r} is not used")
        try:
            async with asyncio.timeout(_WITHIN_S):
                done = await take(payload, request.headers.get("X-GitHub-Delivery", "")[:100])
        except (ValidationError, QuestionError) as error:
            said = _first_fault(error) if isinstance(error, ValidationError) else str(error)
            log.warning("github_delivery_refused", github_event=event, reason=said)
            raise web.HTTPUnprocessableEntity(reason=said) from error
        except TimeoutError as error:
            raise web.HTTPServiceUnavailable(reason="GitHub did not answer in time") from error
        return _taken(done)

    async def _deployment(self, payload: Any, _delivery: str) -> str:
        body = _model(ProtectionRuleBody, payload)
        if body.action != "requested" or self._reader is None:
            return f"the action {body.action} is not used"
        is_new = await self._waits.ask(await self._reader.of_deployment(body))
        return f"{DEPLOYMENT} {'waits' if is_new else 'was known'}"

    async def _merge_group(self, payload: Any, _delivery: str) -> str:
        body = _model(MergeGroupBody, payload)
        if body.action == "destroyed":
            was_there = await self._waits.withdraw(GITHUB, merge_group_key(body))
            return f"{MERGE_GROUP} {'no longer waits' if was_there else 'did not wait'}"
        if body.action != "checks_requested" or self._reader is None:
            return f"the action {body.action} is not used"
        is_new = await self._waits.ask(await self._reader.of_merge_group(body))
        return f"{MERGE_GROUP} {'waits' if is_new else 'was known'}"

    async def _pull_request(self, payload: Any, _delivery: str) -> str:
        body = _model(PullRequestBody, payload)
        if self._reader is None or not _is_used(body, self._reader.labels.names()):
            return f"the action {body.action} is not used"
        key = pull_request_key(body.repository.id, body.pull_request.number, body.pull_request.head.sha)
        is_closed = body.action == "closed"
        # Deliveries come late and in any order: GitHub says which of the commits is still to be merged.
        start = f"{PULL_REQUEST} {body.repository.id} {body.pull_request.number} "
        await self._waits.doubt(GITHUB, start, but=None if is_closed else key)
        if is_closed:
            return f"{PULL_REQUEST} is closed"
        checks = self._current.workspace.gates.github.pull_requests
        if checks is PullRequestChecks.NONE or not services_of(
            self._current.catalog, body.repository.full_name
        ):
            return f"{PULL_REQUEST} gets no check"
        question = await self._reader.of_pull_request(body)
        if body.action in _LABELS:
            await self._waits.renew(question)
            return f"{PULL_REQUEST} is looked at again"
        # It may have been closed, or have had another commit, in between.
        is_new = await self._waits.ask_again(question, after=(WaitState.GONE,))
        return f"{PULL_REQUEST} {'waits' if is_new else 'was known'}"

    async def _check_run(self, payload: Any, delivery: str) -> str:
        body = _model(CheckRunBody, payload)
        if body.action == "rerequested":
            return await self._make_anew(body)
        is_button = body.requested_action is not None and body.requested_action.identifier == content.EXEMPT
        if body.action != "requested_action" or not is_button:
            return f"the action {body.action} is not used"
        asked = await self._button.press(body, delivery)
        return f"an exemption was asked for: {', '.join(asked)}" if asked else "nothing is to be asked for"

    async def _make_anew(self, body: CheckRunBody) -> str:
        """Make a check run again, as GitHub asks for where somebody wants it to run again."""
        wait = await self._waits.find(GITHUB, body.check_run.external_id)
        kinds = (MERGE_GROUP, PULL_REQUEST)
        if (
            wait is None
            or wait.question.kind not in kinds
            or wait.place.get("repository_id") != body.repository.id
        ):
            return "the check is not known"
        await self._waits.reopen(GITHUB, wait.question.key, {"check_run": None})
        return "the check is made anew"


def _is_used(body: PullRequestBody, labels: frozenset[str]) -> bool:
    """Return whether it has a new commit, is over, or got or lost a label that proves something."""
    if body.action in _LABELS:
        return body.label is not None and body.label.name.casefold() in labels
    return body.action in _NEW_HEADS or body.action == "closed"


def _is_signed(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Return whether one of the secrets signed the body; the older SHA-1 does not count."""
    if not signature.startswith("sha256=") or not signature.isascii():
        return False
    for secret in secrets:
        try:
            sansio.validate_event(body, signature=signature, secret=secret)
        except ValidationFailure:
            continue
        return True
    return False


def _model(model: type[Body], payload: Any) -> Body:
    return model.model_validate(payload)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def _taken(said: str) -> web.Response:
    return web.json_response({"result": said}, status=202)
