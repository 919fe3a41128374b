"""The flags on an incident's card: on, and changed lately; each has a button to kill it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from bot.flags.change import SetExposure
from bot.flags.safeguards.drift import DriftDetector
from bot.sandbox.fake_slack.model import Json, Message
from bot.store import audit
from tests.support.slack_flags import (
    FLAG,
    WORKSPACE_WITH_FLAGS,
    exposure,
    run_slack_app_with_flags,
    state,
    with_flags,
)
from tests.support.slack_incidents import RunningIncidentApp

STAGING = f"/flag rollout {FLAG} 25% staging"


def kills(card: Message) -> list[Json]:
    """Return the buttons of a card that kill a flag."""
    beside = [block.get("accessory") or {} for block in card.blocks]
    return [one for one in beside if one.get("action_id") == "flag.kill"]


async def test_a_flag_that_was_raised_lately_is_killed_with_one_press(tmp_path: Path) -> None:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        slack_app.slack.rates.enabled = False
        slack_app.shop.catalog = replace(
            slack_app.shop.catalog,
            workspace=replace(
                WORKSPACE_WITH_FLAGS,
                permissions=replace(WORKSPACE_WITH_FLAGS.permissions, incidents=("everyone",)),
            ),
        )
        incident_app = RunningIncidentApp(slack_app)
        await slack_app.types("dana", STAGING, "#general")
        channel = await incident_app.open("Checkout 500s sev3 checkout")
        card = await incident_app.card(channel)
        (kill,) = kills(card)
        assert kill["confirm"]["text"]["text"] == f"{FLAG} in staging is turned off for everyone at once."
        assert f"*{FLAG}* in staging — 25% of users, changed" in str(card.blocks)
        await incident_app.presses("sam", card, channel, "flag.kill")
        assert await exposure(slack_app, "staging") == 0
        seen = incident_app.last("dana", channel)
        assert seen.text.startswith(f"*25% of users → off* — *{FLAG}* in staging")
        assert seen.ephemeral_to is None
        after = await incident_app.card(channel)
        assert kills(after) == []
        assert f"{FLAG} in staging: flag changed — incident 1" in str(after.blocks)
        async with slack_app.database.reading() as connection:
            last = [row.entry for row in await audit.read(connection, actor="U0SAM")][-1]
        assert (last.action, last.reason) == ("flag.changed", "incident 1")


async def test_who_may_not_change_flags_may_not_kill_them_either(tmp_path: Path) -> None:
    async with run_slack_app_with_flags(tmp_path, with_flags()) as slack_app:
        slack_app.slack.rates.enabled = False
        workspace = replace(
            WORKSPACE_WITH_FLAGS,
            permissions=replace(WORKSPACE_WITH_FLAGS.permissions, incidents=("everyone",)),
            flags=replace(WORKSPACE_WITH_FLAGS.flags, environments=(
                replace(WORKSPACE_WITH_FLAGS.flags.environments[0], protected=False),
            )),
        )  # fmt: skip
        slack_app.shop.catalog = replace(slack_app.shop.catalog, workspace=workspace)
        incident_app = RunningIncidentApp(slack_app)
        await slack_app.types("dana", f"/flag rollout {FLAG} 25%")
        channel = await incident_app.open("Checkout 500s sev3 checkout")
        card = await incident_app.card(channel)
        await incident_app.presses("riley", card, channel, "flag.kill")
        refused = incident_app.last("riley", channel)
        assert refused.ephemeral_to == "U0RILEY"
        assert "may change flags in production. Ask one of them." in refused.text
        assert await exposure(slack_app) == 0.25


async def test_a_flag_that_was_raised_behind_the_bots_back_has_its_button_too(tmp_path: Path) -> None:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        slack_app.slack.rates.enabled = False
        drift: DriftDetector = slack_app.flags._drift
        await drift.check("production", {FLAG})
        before = await state(slack_app)
        await slack_app.flags.backend.apply(
            FLAG, "production", SetExposure(0.5), version=before.version, note="by hand"
        )
        await drift.check("production", {FLAG})
        since = slack_app.shop.clock.now() - timedelta(hours=1)
        found = await slack_app.incidents._recent_flags(["checkout"], since)
        assert [(one.flag, one.environment, one.shown) for one in found] == [
            (FLAG, "production", "50% of users")
        ]
