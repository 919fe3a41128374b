"""A flag that is switched off while an incident lasts explains it, if it was changed shortly before."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.deployments.judgement import LinkMeans
from bot.incidents.causes.cause import CausingFlag
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import NewIncident
from tests.support.clock import MINUTE
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import FLAG, raised, run_slack_app_with_flags


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        yield slack_app


async def opened(slack_app: RunningSlackApp, key: str) -> int:
    opening = NewIncident(key, "Slow pages", Severity.SEV4, ("checkout",), "U0DANA")
    return (await slack_app.incidents.lifecycle.open(opening, slack_app.shop.clock.now())).incident.id


async def flags_of(slack_app: RunningSlackApp, id_: int) -> tuple[CausingFlag, ...]:
    return (await slack_app.incidents.snapshots.of(id_)).causes.flags


async def test_killing_the_flag_that_was_raised_before_an_incident_explains_it(
    slack_app: RunningSlackApp,
) -> None:
    earlier = await opened(slack_app, "earlier")
    slack_app.shop.clock.time += MINUTE
    await raised(slack_app)
    slack_app.shop.clock.time += MINUTE
    id_ = await opened(slack_app, "since")
    await slack_app.types("dana", f"/flag rollout {FLAG} 5% too many errors")
    assert await flags_of(slack_app, id_) == ()

    await slack_app.types("dana", f"/flag kill {FLAG}")

    cause = CausingFlag(f"{FLAG} in production", LinkMeans.FLAG, "U0DANA")
    assert await flags_of(slack_app, id_) == (cause,)
    assert await flags_of(slack_app, earlier) == ()
