"""`/ship SERVICE exempt CHANGE REASON` asks, `/ship exemptions` lists what became of it."""

import pytest

from tests.slack.exemptions.test_requesting import frozen
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import deliver

ASK = "/ship checkout exempt PR-12 the till is down"


async def test_a_change_is_asked_for_and_listed_until_it_is_decided(slack_app: RunningSlackApp) -> None:
    await frozen(slack_app)
    answer = (await slack_app.types("riley", ASK)).text
    assert answer.startswith("You asked to let `PR-12` through to *checkout*.")
    request = (await deliver(slack_app))[-1]
    listed = (await slack_app.types("dana", "/ship exemptions")).text
    assert "`PR-12` to *checkout* waits for approval" in listed
    await slack_app.presses("morgan", request, "flag.approve", "#checkout")
    listed = (await slack_app.types("dana", "/ship exemptions checkout")).text
    assert "`PR-12` to *checkout* may ship until" in listed
    assert "approved by <@U0MORGAN>" in listed
    assert "Yes, `PR-12` may ship" in (await slack_app.types("dana", "/ship checkout PR-12")).text
    assert (await slack_app.types("dana", "/ship exemptions search")).text == (
        "Nobody has asked for an exemption for *search*."
    )


async def test_asking_twice_says_that_it_waits(slack_app: RunningSlackApp) -> None:
    await frozen(slack_app)
    await slack_app.types("riley", ASK)
    again = (await slack_app.types("dana", ASK)).text
    assert again.startswith("`PR-12` waits for approval in #checkout already: <@U0RILEY> asked")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("/ship checkout exempt", "Give the change a short name"),
        ("/ship checkout exempt PR-12", "Say why it cannot wait"),
        ("/ship chekout exempt PR-12 x", "checkout"),
        ("/ship exemptions a b", "Write `/ship exemptions [SERVICE]`"),
        ("/ship exemptions chekout", "checkout"),
    ],
)
async def test_what_is_missing_is_said(slack_app: RunningSlackApp, typed: str, says: str) -> None:
    assert says in (await slack_app.types("riley", typed)).text
