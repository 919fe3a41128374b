"""A reply is not lost because Slack refuses its chart, its table or its blocks, however it is sent."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.fake_slack.model import Message
from bot.slack.blockkit.tables import TABLE
from bot.slack.webapi.new_blocks import CHART, REFUSED_FOR_S, NewBlockSupport
from tests.support.examples import shop_service
from tests.support.slack_app import RunningSlackApp, Shop, run_slack_app, shop
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
    assert slack_app.client.new_blocks.refused({CHART, TABLE}) == {CHART}


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


def many_services() -> Shop:
    """Return more services than a list shows as paragraphs."""
    return shop(*(shop_service(f"service-{number:02}") for number in range(23)))


async def test_a_table_becomes_its_rows_and_the_workspace_is_remembered(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, many_services()) as slack_app:
        assert TABLE in kinds(await slack_app.types("riley", "/budget"))
        slack_app.slack.workspace.plan.has_tables = False
        for command in ("/budget", "/ship", "/budget"):
            answer = await slack_app.types("riley", command)
            assert TABLE not in kinds(answer)
            assert "*service-00* — " in str(answer.blocks)
            assert "*service-22* — " in str(answer.blocks)
            assert kinds(answer)[-1] == "actions"
        assert refusals(slack_app) == ["invalid_blocks"]
        # Charts are another matter.
        assert slack_app.client.new_blocks.refused({CHART, TABLE}) == {TABLE}
        assert CHART in kinds(await slack_app.types("riley", "/budget service-01"))


async def test_a_table_becomes_its_rows_where_the_response_url_is_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_slack_app(tmp_path, many_services()) as slack_app:
        slack_app.slack.workspace.plan.has_tables = False
        use_up_response_urls(slack_app, monkeypatch)
        for _ in range(2):
            answer = await slack_app.types("riley", "/budget", "#checkout")
            assert TABLE not in kinds(answer)
            assert "*service-07* — Left: 90.0% · SLO: availability" in str(answer.blocks)
        assert [error for error in refusals(slack_app) if error == "invalid_blocks"] == ["invalid_blocks"]


async def test_a_table_that_is_refused_as_text_too_is_sent_as_plain_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_slack_app(tmp_path, many_services()) as slack_app:
        use_up_response_urls(slack_app, monkeypatch)
        for _ in range(2):
            slack_app.slack.faults.refuse("chat.postEphemeral", "invalid_blocks")
        answer = await slack_app.types("riley", "/budget", "#checkout")
        assert "service-00" in answer.text
        assert kinds(answer) == []
        assert TABLE in kinds(await slack_app.types("riley", "/budget", "#checkout"))


def test_a_refusal_is_remembered_for_hours() -> None:
    now = [0.0]
    support = NewBlockSupport(now_s=lambda: now[0])
    assert not support.refused({CHART, TABLE})
    support.record_refusal({CHART}, "invalid_blocks")
    now[0] = REFUSED_FOR_S - 1
    assert support.refused({CHART, TABLE}) == {CHART}
    now[0] = REFUSED_FOR_S
    assert not support.refused({CHART, TABLE})
