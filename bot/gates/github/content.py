"""What GitHub is told, within the limits of its contents. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bot.freezes.verdict import VerdictAnswer
from bot.gates.waits.wait import WaitStanding
from bot.texts import clean, clean_line

MOST_NOTE: Final = 1_024
MOST_TITLE: Final = 120
MOST_SUMMARY: Final = 10_000
"""GitHub takes 65,535 bytes of a summary; nobody reads as many."""
MOST_LABEL: Final = 20
MOST_IDENTIFIER: Final = 20
MOST_DESCRIPTION: Final = 40
EXEMPT: Final = "exempt"
"""The identifier of the button *Request exemption*."""

_NO_MENTION: Final = "@\u2060"
"""An at sign that a word joiner keeps from being a mention."""

BUTTON: Final[Mapping[str, str]] = {
    "label": "Request exemption",
    "description": "Ask to ship through the freeze",
    "identifier": EXEMPT,
}
UNKNOWN: Final = (
    "no service of the policies is built from this repository: set its `repository`, or name it under "
    "`gates.github`"
)


def reasons_of(standing: WaitStanding) -> tuple[str, ...]:
    """Return why something waits, goes or goes back."""
    return standing.reasons or (UNKNOWN,)


def note(standing: WaitStanding) -> str:
    """Return the progress note of a deployment that waits, in Markdown."""
    ends = f" It is expected to end at {_time(standing.opens_at)}." if standing.opens_at else ""
    head = f"Governor holds this deployment. It goes on by itself when the freeze ends.{ends}"
    return _cut(f"{head}\n\n{_list(reasons_of(standing))}", MOST_NOTE)


def approval(standing: WaitStanding, deployment: int | None = None) -> str:
    """Return the comment of an approval, which names the deployment's id where it is known."""
    named = deployment_named(deployment)
    return _cut(f"Governor lets {named} go on: {'; '.join(reasons_of(standing))}", MOST_NOTE)


def rejection(standing: WaitStanding, deployment: int | None = None) -> str:
    """Return the comment of a rejection, which names the deployment's id where it is known."""
    named = deployment_named(deployment)
    head = (
        f"Governor takes {named} back: what it ships does harm."
        if standing.answer is VerdictAnswer.BACK
        else f"Governor refuses {named}: its service is frozen, and the policies reject then."
    )
    return _cut(f"{head}\n\n{_list(reasons_of(standing))}", MOST_NOTE)


def deployment_named(deployment: int | None) -> str:
    """Return how a comment calls a deployment."""
    return "this deployment" if deployment is None else f"deployment {deployment}"


def output(standing: WaitStanding, asked_by: str | None = None) -> dict[str, str]:
    """Return the `output` of a check run."""
    reasons = reasons_of(standing)
    titles = {
        VerdictAnswer.GO: "May ship",
        VerdictAnswer.WAIT: f"Frozen: {reasons[0]}",
        VerdictAnswer.BACK: f"Does harm: {reasons[0]}",
    }
    summary = _list(reasons)
    if standing.opens_at is not None and standing.answer is VerdictAnswer.WAIT:
        summary += f"\n\nThe freeze is expected to end at {_time(standing.opens_at)}."
    if asked_by is not None and standing.answer is VerdictAnswer.WAIT:
        summary += f"\n\n{asked_by} asked for an exemption; it is decided in Slack."
    return {
        "title": clean_line(titles[standing.answer], MOST_TITLE),
        "summary": _cut(summary, MOST_SUMMARY),
    }


def check_run(
    name: str,
    head_sha: str,
    external_id: str,
    standing: WaitStanding,
    *,
    conclusion: str | None,
    has_button: bool,
    asked_by: str | None = None,
) -> dict[str, Any]:
    """Return a check run as GitHub takes it; without a `conclusion` it goes on."""
    state = (
        {"status": "in_progress"} if conclusion is None else {"status": "completed", "conclusion": conclusion}
    )
    return {
        "name": name,
        "head_sha": head_sha,
        "external_id": external_id,
        **state,
        "output": output(standing, asked_by),
        "actions": [dict(BUTTON)] if has_button else [],
    }


def _list(reasons: Sequence[str]) -> str:
    return "\n".join(f"- {clean_line(reason, 500)}" for reason in reasons)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _cut(text: str, most: int) -> str:
    """Return a text in which nobody at GitHub is mentioned by what somebody wrote in Slack."""
    cleaned = clean(text).replace("@", _NO_MENTION)
    return cleaned if len(cleaned) <= most else f"{cleaned[: most - 1]}…"
