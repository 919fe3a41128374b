"""A word that a command does not know leads to what was meant, or to nothing."""

import pytest

from bot.slack.synonyms import meant
from tests.support.slack_app import RunningSlackApp

INCIDENT = (
    "open",
    "list",
    "show",
    "status",
    "severity",
    "role",
    "note",
    "impact",
    "private",
    "snooze",
    "report",
)
FLAG = ("show", "on", "off", "rollout", "kill", "undo", "ramp", "history", "stale", "list")


@pytest.mark.parametrize(
    ("command", "typed", "subcommands", "form"),
    [
        ("incident", "resolve", INCIDENT, "/incident status resolved"),
        ("incident", "Close", INCIDENT, "/incident status resolved"),
        ("incident", "update the shop is slow", INCIDENT, "/incident note the shop is slow"),
        ("incident", "rolle", INCIDENT, "/incident role"),
        ("flag", "enable new-checkout", FLAG, "/flag on new-checkout"),
        ("flag", "disable new-checkout", FLAG, "/flag off new-checkout"),
        ("flag", "set new-checkout 5%", FLAG, "/flag rollout new-checkout 5%"),
        ("flag", "set new-checkout", FLAG, "/flag rollout new-checkout 25%"),
        ("incident", "sev1", INCIDENT, "/incident severity sev1"),
        ("incident", "SEV 4", INCIDENT, "/incident severity sev4"),
        ("incident", "priority", INCIDENT, "/incident severity sev2"),
        ("incident", "scribe <@U0SAM>", INCIDENT, "/incident role scribe"),
        ("flag", "kil", FLAG, "/flag kill"),
        ("freeze", "unfreeze checkout", ("lift", "exempt"), "/freeze lift checkout"),
        ("action", "close it", ("add", "done", "change", "list"), "/action done ID"),
        ("action", "close 3", ("add", "done", "change", "list"), "/action done 3"),
        ("postmortem", "finish", ("open", "close"), "/postmortem close"),
        ("governor", "permissions", ("help", "whoami"), "/governor whoami"),
    ],
)
def test_a_synonym_leads_to_its_command(
    command: str, typed: str, subcommands: tuple[str, ...], form: str
) -> None:
    assert meant(command, typed.split(), subcommands) == [form]


@pytest.mark.parametrize("word", ["remove", "stapler", "online", "banana", "role-play", "x"])
def test_nothing_is_said_rather_than_something_wrong(word: str) -> None:
    assert meant("incident", [word], INCIDENT) == []


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (
            "/freeze unfreeze checkout",
            "Did you mean `/freeze lift checkout`?",
        ),
        ("/governor permissions", "Did you mean `/governor whoami`?"),
        ("/freeze lfit checkout", "Did you mean `/freeze lift`?"),
    ],
)
async def test_commands_ask_for_what_was_meant(slack_app: RunningSlackApp, typed: str, answer: str) -> None:
    assert answer in (await slack_app.types("sam", typed)).text


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (
            "PR-12 hotfix",
            "`hotfix` is not a kind of change that the policy of *checkout* exempts. It",
        ),
        ("securty", "`securty` is not a kind of change"),
        ("securty", "Write `/ship checkout security`."),
    ],
)
async def test_an_unknown_kind_is_named_with_those_there_are(
    slack_app: RunningSlackApp, typed: str, answer: str
) -> None:
    assert answer in (await slack_app.types("sam", f"/ship checkout {typed}")).text


async def test_a_kind_is_read_in_any_case(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("sam", "/ship checkout PR-12 Security")
    assert "may ship" in answer.text
