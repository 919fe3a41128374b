"""Queries and their buttons, through signed requests to the app's route and a strict Slack."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import delete

from bot.catalog.error_budget_policy import PolicyMode
from bot.freezes.budget_judge import BudgetJudge
from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.request_sender import signature
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.command_reference import COMMANDS
from bot.slack.commands.audit import ACTION_TEXTS, MOST_ROWS
from bot.slack.interactions import NEXT_PAGE, PREVIOUS_PAGE, SHARE, SHOW, Query
from bot.store import audit
from bot.store.audit import AuditEntry
from bot.store.tables.core import audit as audit_rows
from tests.support.clock import NOW
from tests.support.examples import POLICY, shop_service
from tests.support.paths import ROOT
from tests.support.slack_app import RunningSlackApp, run_slack_app, shop
from tests.support.values import budget_of_events


async def test_budget_lists_all_services_worst_first_for_the_asker_alone(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/budget")
    assert answer.ephemeral_to == slack_app.slack.person("riley").id
    lines = [line for line in answer.text.splitlines() if "*" in line]
    assert [line.split("*")[1] for line in lines] == ["checkout", "search", "payments"]
    assert "20.0% left" in lines[0]
    assert "no data yet" in lines[2]


async def test_budget_of_a_service_shows_figures_burn_forecast_and_a_picture(
    slack_app: RunningSlackApp,
) -> None:
    answer = await slack_app.types("riley", "/budget Checkout")
    assert "8.6\u00a0min of 43.2\u00a0min" in answer.text
    assert "2.4× over 1\u00a0h" in answer.text
    assert "Runs out in 2\u00a0d 12\u00a0h" in answer.text
    assert "█" in answer.text
    charts = [block for block in answer.blocks if block["type"] == "data_visualization"]
    assert len(charts) == 2
    assert len(charts[0]["chart"]["series"][0]["data"]) == 20
    assert [series["name"] for series in charts[0]["chart"]["series"]] == [
        "Frozen at", "Open again at", "Left"
    ]  # fmt: skip


async def test_one_service_is_counted_as_one(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop(shop_service("checkout"))) as slack_app:
        assert "1 service, none frozen" in str((await slack_app.types("riley", "/budget")).blocks)


async def test_a_budget_is_explained_with_every_digit(slack_app: RunningSlackApp) -> None:
    worst = await slack_app.types("riley", "/budget checkout explain")
    assert worst.ephemeral_to == slack_app.slack.person("riley").id
    assert "`1 − 800 ÷ (1000000 × (1 − 0.999)) = 0.2`" in worst.text
    assert "From 2026-10-24 09:00:00 UTC to 2026-11-23 09:00:00 UTC." in worst.text
    assert "`/budget checkout explain latency`" in str(worst.blocks)
    other = await slack_app.types("riley", "/budget checkout explain Latency")
    assert other.text.startswith("checkout latency:")
    assert (
        "Did you mean `latency`?" in (await slack_app.types("riley", "/budget checkout explain latncy")).text
    )
    assert "Nothing has been counted yet" in (await slack_app.types("riley", "/budget payments EXPLAIN")).text
    assert not slack_app.slack.refused


async def test_what_a_policy_only_observes_is_shown_and_lets_changes_ship(tmp_path: Path) -> None:
    policy = replace(POLICY, mode=PolicyMode.OBSERVE)
    observing = replace(shop_service("checkout"), error_budget_policy=policy)
    async with run_slack_app(tmp_path, shop(observing)) as slack_app:
        judge = BudgetJudge(slack_app.database, FreezeAnnouncer(slack_app.shop.current))
        spent = budget_of_events(observing.slos[0], 1_998, burst=4)
        await judge.judge(observing, [spent], NOW)
        listing = await slack_app.types("riley", "/budget")
        assert "would be frozen" in listing.text
        assert "snowflake" not in listing.text
        assert "Would be frozen since" in (await slack_app.types("riley", "/budget checkout")).text
        for typed in ("/freeze", "/freeze list"):
            first, name, why = (await slack_app.types("riley", typed)).text.splitlines()
            assert (first, name) == ("Nothing is frozen.", "*checkout*")
            assert why.startswith("Would be frozen since <!date^")
            assert why.endswith("Nothing is stopped: the policy only observes.")
        may = await slack_app.types("riley", "/ship checkout PR-12")
        assert "Yes, `PR-12` may ship" in may.text
        assert "It would have been refused, but the policy only observes" in may.text
        assert "would be frozen" in (await slack_app.types("riley", "/ship")).text
        assert "Nothing is frozen" in (await slack_app.types("riley", "/freeze")).text
        assert "would have frozen it" in (await slack_app.types("riley", "/audit checkout")).text
        assert not slack_app.slack.refused
        await slack_app.types("sam", "/freeze checkout peak sale")
        frozen = await slack_app.types("riley", "/freeze")
        assert frozen.text.splitlines()[0] == ":snowflake: *checkout*"
        assert "Would be frozen since" in frozen.text
        assert "1 frozen" in str(frozen.blocks)


async def test_unmeasured_slo_is_shown_with_its_problem(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/budget payments")
    assert "no data yet" in answer.text
    assert "prometheus did not answer" in answer.text
    assert "None" not in answer.text


async def test_unknown_service_gets_the_nearest_name(slack_app: RunningSlackApp) -> None:
    assert "Did you mean `checkout`?" in (await slack_app.types("riley", "/budget chekout")).text
    assert "Did you mean `/freeze lift`?" in (await slack_app.types("riley", "/freeze lft checkout")).text
    assert "Did you mean `/governor whoami`?" in (await slack_app.types("riley", "/governor whomai")).text


async def test_each_command_explains_itself(slack_app: RunningSlackApp) -> None:
    for command in ("budget", "ship", "freeze", "audit"):
        assert f"`/{command}" in (await slack_app.types("riley", f"/{command} help")).text
    everything = (await slack_app.types("riley", "/governor help")).text
    assert all(f"`/{command}" in everything for command in ("budget", "ship", "freeze", "audit", "governor"))


async def test_share_pressed_twice_shares_once(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/budget checkout")
    riley = slack_app.slack.person("riley")
    await asyncio.gather(*(riley.acts(answer, "#general", SHARE) for _ in range(2)))
    await slack_app.app.drain(10)
    assert len(slack_app.slack.messages("#general")) == 1


async def test_shared_answer_is_seen_by_the_channel_and_the_button_goes(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/budget checkout")
    await slack_app.presses("riley", answer, SHARE)
    shared = slack_app.slack.messages("#general")[-1]
    assert "8.6\u00a0min" in shared.text
    assert "Shared by <@U0RILEY>" in str(shared.blocks)
    assert SHARE not in str(shared.blocks)
    assert SHARE not in str(slack_app.slack.ephemerals("#general", "riley")[-1].blocks)


async def test_long_list_turns_pages_in_place(tmp_path: Path) -> None:
    many = [shop_service(f"service-{number:03}") for number in range(123)]
    async with run_slack_app(tmp_path, shop(*many)) as slack_app:
        first = await slack_app.types("riley", "/budget")
        assert "page 1 of 3" in str(first.blocks)
        await slack_app.presses("riley", first, NEXT_PAGE)
        second = slack_app.slack.ephemerals("#general", "riley")[-1]
        assert second.ts == first.ts
        assert "service-050" in second.text
        await slack_app.presses("riley", second, NEXT_PAGE)
        await slack_app.presses("riley", slack_app.slack.ephemerals("#general", "riley")[-1], PREVIOUS_PAGE)
        assert "page 2 of 3" in str(slack_app.slack.ephemerals("#general", "riley")[-1].blocks)
        assert len(slack_app.slack.ephemerals("#general", "riley")) == 1
        assert not slack_app.slack.refused


def rows_of(message: Message) -> list[list[str]]:
    """Return the texts of a message's table, row by row."""
    (block,) = [block for block in message.blocks if block["type"] == "data_table"]
    return [[str(cell.get("text", cell)) for cell in row] for row in block["rows"]]


async def test_many_services_are_a_table_of_which_each_row_can_be_looked_at(tmp_path: Path) -> None:
    many = shop(*(shop_service(f"service-{number:02}") for number in range(23)))
    del many.budgets["service-07"]
    async with run_slack_app(tmp_path, many) as slack_app:
        await slack_app.types("sam", "/freeze service-05 db migration")
        listing = await slack_app.types("riley", "/budget")
        head, *rows = rows_of(listing)
        assert head == ["Service", "Left", "SLO", "Burn over 1 h", "State"]
        assert len(rows) == 23
        assert ["service-05", "90.0%", "availability", "0.1×", "frozen"] in rows
        assert ["service-07", "no SLO", "–", "–", "open"] in rows
        (left,) = [row[1] for row in listing.blocks[0]["rows"] if row[0]["text"] == "service-05"]
        assert (left["type"], left["value"]) == ("raw_number", 0.9)
        assert "23 services, 1 frozen" in str(listing.blocks)
        chosen = {"selected_option": {"value": Query("budget", "service-05").to_value()}}
        await slack_app.slack.person("riley").acts(listing, "#general", SHOW, **chosen)
        await slack_app.app.drain(10)
        assert slack_app.slack.ephemerals("#general", "riley")[-1].text.startswith("service-05: 90.0% left")
        head, *rows = rows_of(await slack_app.types("riley", "/ship"))
        assert head == ["Service", "May ship", "Budget left", "Frozen by"]
        assert rows[0][:3] == ["service-05", "No", "90.0%"]
        assert "U0SAM" in rows[0][3]
        assert not slack_app.slack.refused


async def test_many_holds_are_a_table(tmp_path: Path) -> None:
    many = [shop_service(f"service-{number:02}") for number in range(12)]
    async with run_slack_app(tmp_path, shop(*many)) as slack_app:
        for of in many:
            await slack_app.types("sam", f"/freeze {of.name} for 2h db & <b> @channel")
        await slack_app.types("sam", "/freeze exempt service-03 PR-12 a fix")
        listing = await slack_app.types("riley", "/freeze")
        head, *rows = rows_of(listing)
        assert head == ["Service", "Frozen by", "Since", "Until", "Reason", "Exempt"]
        assert [row[5] for row in rows[2:5]] == ["–", "PR-12", "–"]
        assert [row[0] for row in rows] == [of.name for of in many]
        # Literal text, which nobody is notified by.
        assert rows[0][4] == "db & <b> @\u2060channel"
        assert "12 frozen" in str(listing.blocks)
        assert not slack_app.slack.refused


async def test_details_are_shown_beside_the_list(slack_app: RunningSlackApp) -> None:
    listing = await slack_app.types("riley", "/budget")
    await slack_app.presses("riley", listing, SHOW)
    assert slack_app.slack.ephemerals("#general", "riley")[-1].text.startswith("checkout: 20.0")


async def test_used_up_response_url_is_replaced_by_an_ephemeral_message(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/ship checkout", "#checkout")
    for address in slack_app.slack.responses._urls.values():
        address.uses = 5
    original = slack_app.slack.responses.new
    slack_app.slack.responses.new = lambda *_: f"{slack_app.url}/gone"  # type: ignore[method-assign]
    try:
        again = await slack_app.types("riley", "/ship checkout", "#checkout")
    finally:
        slack_app.slack.responses.new = original  # type: ignore[method-assign]
    assert again.ts != answer.ts
    assert again.text == answer.text
    assert again.ephemeral_to == "U0RILEY"


async def test_a_failure_is_reported_with_an_error_id(slack_app: RunningSlackApp) -> None:
    del slack_app.shop.catalog.services["payments"]  # type: ignore[attr-defined]

    async def broken(*_: object) -> list[object]:
        raise RuntimeError("the ledger is gone")

    slack_app.app.workspaces.main.router._commands["budget"]._status_reader._budgets.assess = broken  # type: ignore[attr-defined]
    answer = await slack_app.types("riley", "/budget")
    assert "report error `" in answer.text
    assert "ledger" not in answer.text


async def test_forged_and_stale_requests_are_refused(slack_app: RunningSlackApp) -> None:
    body = "command=%2Ffreeze&text=checkout+evil&user_id=U0SAM&channel_id=C1&trigger_id=1"
    old, fresh = str(int(time.time()) - 3600), str(int(time.time()))
    forged = [("wrong", fresh), (slack_app.slack.signing_secret, old)]
    async with aiohttp.ClientSession() as session:
        for secret, stamp in forged:
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Slack-Request-Timestamp": stamp,
                "X-Slack-Signature": signature(secret, stamp, body),
            }
            async with session.post(f"{slack_app.url}/slack/events", data=body, headers=headers) as answer:
                assert answer.status == 401
    assert not await slack_app.hold_registry.holds(slack_app.shop.clock.now())


@pytest.mark.parametrize("prefix", ["acme-", "acme_", "x"])
async def test_commands_that_the_manifest_renames_are_answered(tmp_path: Path, prefix: str) -> None:
    async with run_slack_app(tmp_path, shop(), prefix) as slack_app:
        for command in COMMANDS:
            plain = await slack_app.types("sam", f"/{prefix}{command.name} help")
            assert f"/{prefix}{command.name}" in plain.text
            for other in COMMANDS:
                assert f"`/{other.name}" not in plain.text + str(plain.blocks)
        assert "is frozen" in (await slack_app.types("sam", f"/{prefix}freeze checkout peak sale")).text


async def test_the_audit_log_lists_what_the_bot_did_and_since_when_one_asks(
    slack_app: RunningSlackApp,
) -> None:
    entries = [("governor", "service.frozen", NOW - timedelta(hours=30)), ("U0SAM", "hold.placed", NOW)]
    async with slack_app.database.transaction() as connection:
        for actor, action, at in entries:
            await audit.record(
                connection, AuditEntry(actor, action, "checkout", "why", service="checkout"), at
            )
    for typed in ("<@U0GOVERNOR|governor>", "<@U0GOVERNOR>", "@governor"):
        assert "Governor froze it: why" in (await slack_app.types("sam", f"/audit {typed}")).text
    today = await slack_app.types("sam", "/audit since 00:00")
    assert "<@U0SAM> froze it: why" in today.text
    assert "Governor" not in today.text
    assert "Governor froze it" in (await slack_app.types("sam", "/audit checkout since yesterday")).text
    refused = await slack_app.types("sam", "/audit checkout since then")
    assert refused.text.startswith("Write `/audit SERVICE since 7d`")


async def test_a_long_log_is_cut_to_its_newest_rows_and_says_so(slack_app: RunningSlackApp) -> None:
    async with slack_app.database.transaction() as connection:
        for number in range(MOST_ROWS + 1):
            await audit.record(connection, AuditEntry("ci", "hold.kept", f"{number}.", ""), NOW)
    seen = await slack_app.types("sam", "/audit")
    assert f"*{MOST_ROWS}.*" in seen.text
    assert "only the newest 500, `governor audit` lists all · page 1 of 50" in str(seen.blocks)
    last = await slack_app.types("sam", "/audit since 8d")
    assert "only the newest 500" in str(last.blocks)
    async with slack_app.database.transaction() as connection:
        await connection.execute(delete(audit_rows).where(audit_rows.c.subject == "0."))
    assert "only the newest" not in str((await slack_app.types("sam", "/audit")).blocks)


async def test_a_detail_may_stand_before_the_service(slack_app: RunningSlackApp) -> None:
    assert "*Remaining*" in str((await slack_app.types("riley", "/budget explain checkout")).blocks)
    assert "where the budget went" in str((await slack_app.types("riley", "/budget where checkout")).blocks)
    lone = (await slack_app.types("riley", "/budget explain")).text
    assert lone == "Name the service: `/budget SERVICE explain`."


@pytest.mark.parametrize("typed", ["help budget", "help /budget", "HELP Budget"])
async def test_help_on_one_command_is_asked_of_governor_too(slack_app: RunningSlackApp, typed: str) -> None:
    own = await slack_app.types("riley", "/budget help")
    assert (await slack_app.types("riley", f"/governor {typed}")).text == own.text
    assert "`/ship" in (await slack_app.types("riley", "/governor help nothing")).text


def test_every_action_of_the_log_has_words() -> None:
    actions = (ROOT / "tests" / "contract" / "audit-actions.txt").read_text().split()
    assert set(actions) == set(ACTION_TEXTS)
