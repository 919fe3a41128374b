"""What a goal is judged by: all of its time, however long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.budgets.ledger.pushed_events import PushedEvent
from tests.stories.conftest import POLICIES
from tests.support.github import api
from tests.support.running_bot import start_bot

DAY = timedelta(days=1)
GOAL = """---
apiVersion: governor/v1
kind: Goal
metadata: {{name: year}}
spec:
  services: checkout
  from: "{0:%Y-%m-%d}"
  until: "{1:%Y-%m-%d}"
  delivery: {{changeFailRate: 10%}}
  reliability: {{checkout/orders: 99}}
"""


async def test_what_a_long_goal_counts_is_kept_for_as_long_as_it_lasts(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    text = POLICIES + GOAL.format(now - 300 * DAY, now + 30 * DAY)
    async with start_bot(tmp_path, text=text) as bot:
        budgets = bot.governor.parts.budgets
        (slo,) = bot.governor.parts.resources.current.catalog.slos
        counted = {600: now - 250 * DAY, 20: now - DAY}
        await budgets.ledger.push([PushedEvent(slo, 1_000, bad, at) for bad, at in counted.items()], now)
        await budgets.drop_old_events()
        _, body = await api(bot, "GET", "goals")
    (goal,) = body["goals"]
    assert goal["reliability"][0]["n"] == 2_620
    assert goal["reliability_state"] == "not_met"
