"""A reply is not lost because Slack refuses its chart or its blocks, however it is sent."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.fake_slack.model import Message
from bot.slack.webapi.charts import CHART, REFUSED_FOR_S, ChartSupport
from tests.support.slack_app import RunningSlackApp, run_slack_app, shop
from tests.support.slack_home import blocks_of, direct, open_home, presses_home


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app(tmp_path, shop()) as slack_app:
        yield slack_app


def kinds(message: Message) -> list[str]:
    """Return the types of a message's blocks."""
    return [str(block["type"]) for block in message.blocks or ()]


def refusals(slack_app: RunningSlackApp) -> list[str]:
    """Return what Slack refused blocks with, by the Web API and by response URLs."""
    by_method = [str(call.error) for call in slack_app.slack.calls if call.error]
    return [error for error in by_method if error.startswith("invalid_")] + [
        str(refusal["error"]) for refusal in slack_app.slack.responses.refusals
    ]


def use_up_response_urls(slack_app: RunningSlackApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Slack issue only response URLs that take no reply any more."""
    gone = f"{slack_app.slack.base_url}/slack-response/R0GONE"
    monkeypatch.setattr(slack_app.slack.responses, "new", lambda *_: gone)


async def test_the_chart_is_left_out_and_the_workspace_remembered(slack_app: RunningSlackApp) -> None:
    assert CHART in kinds(await slack_app.types("riley", "/budget checkout"))
    slack_app.slack.workspace.plan.has_charts = False
    for _ in range(3):
        answer = await slack_app.types("riley", "/budget checkout")
        assert answer.text.startswith("checkout: 20.0")
        assert CHART not in kinds(answer)
        assert len(kinds(answer)) > 1
    assert refusals(slack_app) == ["invalid_blocks"]
    assert slack_app.client.charts.is_refused


async def test_the_chart_is_left_out_where_the_response_url_is_used_up(
    slack_app: RunningSlackApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack_app.slack.workspace.plan.has_charts = False
    use_up_response_urls(slack_app, monkeypatch)
    for _ in range(2):
        answer = await slack_app.types("riley", "/budget checkout", "#checkout")
        assert CHART not in kinds(answer)
        assert len(kinds(answer)) > 1
    assert [error for error in refusals(slack_app) if error == "invalid_blocks"] == ["invalid_blocks"]


async def test_a_button_of_the_home_tab_is_answered_without_the_chart(slack_app: RunningSlackApp) -> None:
    slack_app.slack.workspace.plan.has_charts = False
    await open_home(slack_app, "riley")
    await presses_home(slack_app, "riley", "home.show.budget")
    assert direct(slack_app, "riley")[-1].startswith("checkout: 20.0")


async def test_what_is_refused_without_its_chart_too_is_sent_as_plain_text(
    slack_app: RunningSlackApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_up_response_urls(slack_app, monkeypatch)
    for _ in range(2):
        slack_app.slack.faults.refuse("chat.postEphemeral", "invalid_blocks")
    answer = await slack_app.types("riley", "/budget checkout", "#checkout")
    assert answer.text.startswith("checkout: 20.0")
    assert kinds(answer) == []
    # The chart was not the reason, so the next message has one.
    assert CHART in kinds(await slack_app.types("riley", "/budget checkout", "#checkout"))


async def test_a_channel_that_the_bot_is_not_in_is_answered_directly(
    slack_app: RunningSlackApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_up_response_urls(slack_app, monkeypatch)
    await slack_app.slack.person("riley").says("/ship checkout", "#general")
    await slack_app.app.drain(10)
    assert "checkout" in direct(slack_app, "riley")[-1]


async def test_a_busy_slack_is_waited_for(
    slack_app: RunningSlackApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_up_response_urls(slack_app, monkeypatch)
    slack_app.slack.faults.refuse("chat.postEphemeral", "ratelimited")
    monkeypatch.setattr("bot.slack.webapi.errors._RETRY_AFTER_S", 0.01)
    assert "checkout" in (await slack_app.types("riley", "/ship checkout", "#checkout")).text


async def test_a_home_tab_that_is_refused_shows_its_texts(slack_app: RunningSlackApp) -> None:
    slack_app.slack.faults.refuse("views.publish", "invalid_arguments")
    await open_home(slack_app, "riley")
    shown = blocks_of(slack_app, "riley")
    assert "checkout" in str(shown)
    assert {block["type"] for block in shown} == {"section"}


def test_a_refusal_is_remembered_for_hours() -> None:
    now = [0.0]
    charts = ChartSupport(now_s=lambda: now[0])
    assert not charts.is_refused
    charts.record_refusal("invalid_blocks")
    now[0] = REFUSED_FOR_S - 1
    assert charts.is_refused
    now[0] = REFUSED_FOR_S
    assert not charts.is_refused
