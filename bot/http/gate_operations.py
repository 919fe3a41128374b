"""The gates' routes as the OpenAPI document shows them; `bot/gates` does not know `bot/http`."""

from bot.http.operations import Operation, QueryParameter
from bot.http.rights import Right

_TEXT = {"type": "string", "maxLength": 200}
_ASKED = (
    QueryParameter("change", "The change that ships, such as its revision.", _TEXT),
    QueryParameter("commit", "Its commit.", _TEXT),
    QueryParameter("kind", "Its kind, such as security.", _TEXT),
    QueryParameter("proof", "What proves the kind: CVE-2026-1234, incident 12.", _TEXT),
    QueryParameter("environment", "Where it ships to; left out, any freeze bars it.", _TEXT),
)
_UNAUTHORIZED = {401: "The token may not ask the gate."}
_UNKNOWN = {404: "There is no such service.", 503: "The service was never measured; ask again."}
_FLAGGER_REFUSALS = (
    _UNAUTHORIZED | _UNKNOWN | {400: "The body is not JSON.", 413: "It is too large.", 423: "No, not now."}
)


def _flagger(hook: str, summary: str) -> Operation:
    return Operation(
        "POST",
        f"/gates/flagger/{{token}}/{{service}}/{hook}",
        tag="gates",
        summary=summary,
        body={"type": "object"},
        answers={200: "Yes, with the verdict and its reasons in a line."},
        answer_type="text/plain",
        refusals=_FLAGGER_REFUSALS,
    )


def _rollouts(method: str) -> Operation:
    return Operation(
        method,
        "/gates/rollouts/{service}",
        tag="gates",
        summary="A metric of Argo Rollouts: `go` succeeds, `back` fails, anything else pauses",
        right=Right.GATE_READ,
        answers_all=True,
        query=_ASKED,
        answers={200: "`verdict` (`unknown` if none is known or the token may not ask), `allow`, `reasons`."},
        refusals={400: "The query has control characters.", 413: "The body is too large."},
    )


def _signed(path: str, summary: str, answers: dict[int, str]) -> Operation:
    return Operation(
        "POST",
        path,
        tag="gates",
        summary=summary,
        body={"type": "object"},
        answers=answers,
        refusals={
            400: "The body is not what the platform sends.",
            401: "The signature is missing or wrong.",
            413: "The body is too large.",
        },
    )


GATE_OPERATIONS = (
    _signed(
        "/gates/gitlab/status-checks",
        "GitLab: an external status check on a merge request, signed with its shared secret",
        {202: "It is answered at GitLab; `ignored` says why not."},
    ),
    _signed(
        "/gates/terraform/run-tasks",
        "HCP Terraform: a run task, signed with its HMAC key",
        {200: "It is answered where the task says."},
    ),
    _flagger("confirm-rollout", "Flagger: whether the canary may begin"),
    _flagger("confirm-traffic-increase", "Flagger: whether the canary may get more traffic"),
    _flagger("confirm-promotion", "Flagger: whether the canary may be promoted"),
    _flagger("rollback", "Flagger: whether the canary does harm; yes rolls it back"),
    _rollouts("GET"),
    _rollouts("POST"),
    Operation(
        "POST",
        "/gates/github",
        tag="gates",
        summary="What GitHub delivers to the App, signed with `GITHUB_APP_WEBHOOK_SECRET`",
        body={"type": "object"},
        answers={202: "It was taken; `result` says as what."},
        refusals={
            400: "The body is not JSON.",
            401: "The App is not set up, or the signature is not GitHub's.",
            413: "The body is too large.",
            422: "What is asked cannot be read.",
            503: "GitHub could not be asked in time; deliver it again.",
        },
    ),
    Operation(
        "GET",
        "/gates/kargo/{service}",
        tag="gates",
        summary="Kargo's HTTP step: whether the change may be promoted",
        right=Right.GATE_READ,
        query=_ASKED,
        answers={200: "`verdict`, `allow` and `reasons`."},
        refusals=_UNAUTHORIZED | _UNKNOWN | {400: "The query is not valid."},
    ),
)
"""What platforms ask."""
