"""People say which deployment caused an incident: typed, or by the button on its card."""

from bot.deployments import records
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.judgement import LinkMeans
from tests.support.clock import MINUTE
from tests.support.slack_incidents import RunningIncidentApp, chosen

COMMITS = ("3f1c2abdd0000000", "9a8b7c6d50000000")


async def deployed(incident_app: RunningIncidentApp) -> None:
    """Record two deployments of checkout, twelve and two minutes ago."""
    now = incident_app.slack_app.shop.clock.now()
    async with incident_app.slack_app.database.transaction() as connection:
        for commit, ago in zip(COMMITS, (12 * MINUTE, 2 * MINUTE), strict=True):
            deployment = Deployment(
                id=f"api {commit}",
                environment="production",
                commit=commit,
                by="octocat",
                state=DeploymentState.SUCCEEDED,
                started_at=now - ago - MINUTE,
                finished_at=now - ago,
                is_production=True,
            )
            await records.add(incident_app.slack_app.database, connection, "checkout", deployment)


async def causes(incident_app: RunningIncidentApp) -> list[tuple[str, LinkMeans | None]]:
    return [(each.deployment.commit, each.means) for each in (await incident_app.view()).causes.confirmed]


async def test_a_commit_is_typed_and_changed_and_taken_back(incident_app: RunningIncidentApp) -> None:
    await deployed(incident_app)
    channel = await incident_app.open()
    assert "Suspected, not confirmed: `9a8b7c6`" in str((await incident_app.card(channel)).blocks)

    await incident_app.slack_app.types("dana", "/incident caused-by 3f1c2ab", channel)
    assert await causes(incident_app) == [(COMMITS[0], LinkMeans.PERSON)]
    assert incident_app.last("dana", channel).text == (
        "Caused by `3f1c2ab`, says <@U0DANA>. Next: roll it back, or fix it forward."
    )
    assert "Caused by `3f1c2ab`, 12\\xa0min before" in str((await incident_app.card(channel)).blocks)

    await incident_app.slack_app.types("dana", "/incident caused by 9a8b7c6", channel)
    assert await causes(incident_app) == [(COMMITS[1], LinkMeans.PERSON)]
    await incident_app.slack_app.types("dana", "/incident caused-by none", channel)
    assert (await incident_app.view()).causes.cleared_by == "U0DANA"
    await incident_app.slack_app.types("dana", "/incident caused-by unknown", channel)
    assert [each.deployment.commit for each in (await incident_app.view()).causes.suspected] == [COMMITS[1]]
    await incident_app.slack_app.types("dana", "/incident caused-by unknown", channel)
    assert incident_app.last("dana", channel).text == "That is what is known already."


async def test_an_unknown_commit_is_refused_with_the_last_ones(incident_app: RunningIncidentApp) -> None:
    await deployed(incident_app)
    channel = await incident_app.open()

    await incident_app.slack_app.types("dana", "/incident caused-by deadbeef", channel)

    assert incident_app.last("dana", channel).text == (
        "No deployment `deadbeef` of its services is known. The last ones: `9a8b7c6, 3f1c2ab`. "
        "`/incident caused-by none` says that none caused it."
    )
    assert await causes(incident_app) == []


async def test_the_cards_button_offers_the_last_deployments(incident_app: RunningIncidentApp) -> None:
    await deployed(incident_app)
    channel = await incident_app.open()
    card = await incident_app.card(channel)

    await incident_app.presses("dana", card, channel, "incident.caused_by")
    options = str(incident_app.form("dana"))
    assert "9a8b7c6, 2\\xa0min before" in options
    assert "3f1c2ab, 12\\xa0min before" in options
    assert await incident_app.submits("dana", deployment=chosen(f"id api {COMMITS[0]}")) == {}
    assert await causes(incident_app) == [(COMMITS[0], LinkMeans.PERSON)]

    await incident_app.presses("dana", card, channel, "incident.caused_by")
    await incident_app.submits("dana", deployment=chosen("none"))
    assert (await incident_app.view()).causes.cleared_by == "U0DANA"


async def test_whoever_may_not_change_incidents_may_not_say_what_caused_them(
    incident_app: RunningIncidentApp,
) -> None:
    await deployed(incident_app)
    channel = await incident_app.open()
    card = await incident_app.card(channel)

    told = await incident_app.slack_app.types("riley", "/incident caused-by 3f1c2ab", channel)
    await incident_app.presses("riley", card, channel, "incident.caused_by")

    assert "open or change an incident" in told.text
    assert incident_app.slack_app.slack.person("riley").modal is None
    assert await causes(incident_app) == []
