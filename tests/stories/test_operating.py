"""Running the program: stopping it, editing its policies, watching it."""

import asyncio
import re
from functools import partial
from pathlib import Path

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from tests.stories.test_events import push, told
from tests.support.running import Bot, eventually


async def test_sigterm_finishes_what_is_under_way_and_ends_well(
    bot: Bot, slack: FakeSlackServer, tmp_path: Path
) -> None:
    file = tmp_path / "policies" / "all.yaml"
    file.write_text(file.read_text().replace('{freeze: ["@sre"]}', '{freeze: ["@sre"], exempt: ["@sre"]}'))
    await bot.terminate()
    await bot.start()
    sam = slack.person("sam")
    await sam.says("/freeze checkout because", "#general")
    await bot.until_state("checkout", "frozen")
    await asyncio.gather(
        *(sam.says(f"/freeze exempt checkout PR-{n} because of {n}", "#general") for n in range(5))
    )
    assert await bot.terminate() == 0
    await bot.start()
    for n in range(5):
        assert (await bot.api("GET", f"gate/checkout?change=PR-{n}"))[1]["allow"]
    for channel in ("#checkout", "#releases"):
        await slack.until(partial(reached, slack, channel, "exemption_granted", 5), within_s=20)


def reached(slack: FakeSlackServer, channel: str, kind: str, times: int) -> bool:
    return told(slack, channel, kind) == times


async def test_a_broken_edit_keeps_the_last_good_policies_and_is_told_once(
    bot: Bot, slack: FakeSlackServer, tmp_path: Path
) -> None:
    file = tmp_path / "policies" / "all.yaml"
    good = file.read_text()
    file.write_text(good.replace("objective: 99", "objectve: 99"))
    await slack.until(lambda: told(slack, "#releases", "policy_faults"), within_s=20)
    file.write_text(good.replace("objective: 99", "objective: 100"))
    ready = await eventually(
        lambda: bot.get("/readyz"), lambda body: "100" in str(body["checks"]["policies"]["faults"])
    )
    assert ready["status"] == "degraded"
    assert (await bot.state("checkout"))["slos"][0]["objective"] == 0.99
    assert re.search(r"^governor_policy_faults [1-9]", await bot.text("/metrics"), re.MULTILINE)

    file.write_text(good.replace("objective: 99", "objective: 95"))
    await slack.until(lambda: told(slack, "#releases", "policy_restored"), within_s=20)
    assert told(slack, "#releases", "policy_faults") == 1
    assert (await bot.state("checkout"))["slos"][0]["objective"] == 0.95
    assert (await bot.get("/readyz"))["checks"]["policies"]["faults"] == []


async def test_a_service_that_is_added_is_judged_without_a_restart(bot: Bot, tmp_path: Path) -> None:
    text = (tmp_path / "policies" / "all.yaml").read_text()
    (tmp_path / "policies" / "more.yaml").write_text(text[text.rindex("---") :].replace("checkout", "search"))
    await eventually(lambda: bot.api("GET", "services/search"), lambda answer: answer[0] == 200)
    event = {"service": "search", "slo": "orders", "good": 0, "bad": 5}
    assert (await bot.api("POST", "events", json=event))[0] == 202
    await bot.until_state("search", "frozen")


async def test_metrics_show_the_bots_own_slis(bot: Bot, slack: FakeSlackServer) -> None:
    await push(bot, 999, 1)
    await slack.person("dana").says("/budget", "#checkout")
    await slack.until(lambda: slack.ephemerals("#checkout", "dana"))
    shown = (
        'governor_error_budget_remaining_ratio{service="checkout"',
        "governor_evaluation_lag_seconds{",
        "governor_outbox_age_seconds 0.0",
    )
    await eventually(lambda: bot.text("/metrics"), lambda text: all(line in text for line in shown))
    # The command, and what Slack tells of the welcome.
    acked = re.search(r"^governor_slack_ack_seconds_count (\d+)", await bot.text("/metrics"), re.MULTILINE)
    assert acked is not None
    assert 1 <= int(acked[1]) <= 2


async def test_a_channel_that_cannot_be_told_is_shown_and_told_in_the_other(
    bot: Bot, slack: FakeSlackServer
) -> None:
    slack.workspace.channel("#checkout").is_archived = True
    await push(bot, 0, 20)
    await slack.until(lambda: told(slack, "#releases", "delivery_failed"), within_s=20)
    assert told(slack, "#releases", "service_frozen") == 1
    ready = await eventually(
        lambda: bot.get("/readyz"), lambda body: bool(body["checks"]["delivery"]["failing"])
    )
    assert ready["checks"]["delivery"]["failing"]["#checkout"]["error"] == "is_archived"


async def test_slack_that_fails_for_a_while_delays_but_loses_nothing(
    bot: Bot, slack: FakeSlackServer
) -> None:
    for fault in (InjectedFault.RATE_LIMITED, InjectedFault.SERVER_ERROR, InjectedFault.CUT):
        slack.faults.once(fault, "chat.postMessage")
    await push(bot, 0, 20)
    for channel in ("#checkout", "#releases"):
        await slack.until(partial(reached, slack, channel, "service_frozen", 1), within_s=30)
    await bot.terminate()
    assert [told(slack, channel, "service_frozen") for channel in ("#checkout", "#releases")] == [1, 1]


async def test_a_token_that_slack_does_not_accept_is_one_clear_line(
    bot: Bot, slack: FakeSlackServer, tmp_path: Path
) -> None:
    await bot.terminate()
    slack.web_api.token = "xoxb-another"
    bot.log.write_text("")
    await bot.start(wait=False)
    assert await bot.ended() == 1
    said = bot.log.read_text().splitlines()
    assert said[-1] == "governor: Slack does not accept SLACK_BOT_TOKEN: invalid_auth"
    assert "Traceback" not in "".join(said)


async def test_a_slack_that_answers_nonsense_at_the_start_does_not_stop_the_bot(
    bot: Bot, slack: FakeSlackServer
) -> None:
    await bot.terminate()
    slack.faults.once(InjectedFault.SERVER_ERROR, "auth.test")
    await bot.start()
    ready = await eventually(
        lambda: bot.get("/readyz"), lambda body: body["checks"]["slack"]["problem"] is not None
    )
    assert ready["checks"]["slack"]["ok"] is False
    await push(bot, 0, 20)
    await bot.until_state("checkout", "frozen")
