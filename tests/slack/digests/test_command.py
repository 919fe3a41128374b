"""`/digest`: what it shows, who may send and pause digests, and what is written of that."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from bot.catalog.digests import DigestSettings
from bot.catalog.teams import Teams
from bot.deployments import records as deployments
from bot.deployments.deployment import Deployment, DeploymentState
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import NewIncident
from bot.incidents.records.actions import NewAction
from bot.store.tables.core import audit, outbox
from bot.teams.digests import pauses
from bot.teams.reviews import records as reviews
from bot.teams.reviews.review import Agreement, ReviewedWork, TeamSide
from tests.support.clock import DAY, HOUR, NOW
from tests.support.examples import hold
from tests.support.slack_app import RunningSlackApp


async def told(slack_app: RunningSlackApp) -> list[tuple[str, str, str]]:
    """Return the channel, kind and text of each message of digests."""
    columns = (outbox.c.channel, outbox.c.event_type, outbox.c.text)
    async with slack_app.database.reading() as connection:
        rows = await connection.execute(
            select(*columns).where(outbox.c.event_type.startswith("digest")).order_by(outbox.c.id)
        )
        return [(row.channel, row.event_type, row.text) for row in rows]


async def changes(slack_app: RunningSlackApp) -> list[tuple[str, str, str]]:
    """Return who did what to which channel."""
    columns = (audit.c.actor, audit.c.action, audit.c.subject)
    async with slack_app.database.reading() as connection:
        rows = await connection.execute(
            select(*columns).where(audit.c.action.startswith("digest.")).order_by(audit.c.id)
        )
        return [(row.actor, row.action, row.subject) for row in rows]


async def deploy(slack_app: RunningSlackApp, id_: str, hours: float, *, failed: bool = False) -> None:
    """Record a deployment of checkout to production some hours ago."""
    state = DeploymentState.FAILED if failed else DeploymentState.SUCCEEDED
    at = NOW - timedelta(hours=hours)
    deployed = Deployment(id_, "production", "3f1c2ab" + id_, "dana", state, at, at, is_production=True)
    async with slack_app.database.transaction() as connection:
        await deployments.add(slack_app.database, connection, "checkout", deployed)


def with_teams(slack_app: RunningSlackApp) -> None:
    """Let the policies name checkout's teams."""
    policies = slack_app.shop.catalog
    checkout = replace(policies.services["checkout"], teams=Teams(("@checkout-devs",), ("@sre",)))
    slack_app.shop.catalog = replace(policies, services={**policies.services, "checkout": checkout})


async def happen(slack_app: RunningSlackApp) -> None:
    """Let a week pass in which something happened to checkout."""
    await deploy(slack_app, "1", 30)
    await deploy(slack_app, "2", 20, failed=True)
    await slack_app.incidents.lifecycle.open(
        NewIncident("k1", "Checkout <fails>", Severity.SEV2, ("checkout",), "U0SAM", is_person=True),
        NOW - DAY,
    )
    secret = NewIncident(
        "k2", "Bucketleak", Severity.SEV1, ("checkout",), "U0SAM", is_person=True, private=True
    )
    opened = await slack_app.incidents.lifecycle.open(secret, NOW - DAY)
    book = slack_app.incidents.actions
    due = NOW.date() - timedelta(days=1)
    await book.add(NewAction("Limit the pool", "checkout", owner="U0DANA", due=due), by="U0DANA", now=NOW)
    hidden = NewAction("Rotate bucketleak keys", "checkout", opened.incident.id, is_p0=True)
    await book.add(hidden, by="U0SAM", now=NOW)


async def test_anybody_sees_the_digest_of_a_channel_alone_and_nothing_private(
    slack_app: RunningSlackApp,
) -> None:
    await happen(slack_app)
    seen = await slack_app.types("omar", "/digest", "#checkout")
    assert seen.ephemeral_to is not None
    shown = str(seen)
    assert "20.0% left" in shown.replace("\u00a0", " ")
    assert "2 deployments (1 failed) · 1 incident · 1 still open" in shown
    assert "1 overdue action" in shown
    assert "Checkout &lt;fails&gt;" in shown
    assert "Limit the pool" in shown
    assert "ucketleak" not in shown
    assert "The digest of #checkout comes <!date^" in shown
    assert await told(slack_app) == []
    assert (await slack_app.types("omar", "/digest checkout", "#general")).text == seen.text


async def test_a_private_channel_is_known_by_its_id(slack_app: RunningSlackApp) -> None:
    workspace = slack_app.slack.workspace
    channel = next(each for each in workspace.channels.values() if each.name == "checkout")
    channel.kind = "private"
    policies = slack_app.shop.catalog
    checkout = replace(policies.services["checkout"], channel=channel.id)
    slack_app.shop.catalog = replace(policies, services={**policies.services, "checkout": checkout})
    assert "20.0% left" in str(await slack_app.types("dana", "/digest", "#checkout")).replace("\u00a0", " ")
    answer = await slack_app.types("sam", "/digest now", "#checkout")
    assert answer.text == "Done. It is posted in this channel."
    assert {address for address, _, _ in await told(slack_app)} == {channel.id}


async def test_only_reviews_that_wait_for_an_agreement_are_in_the_digest(
    slack_app: RunningSlackApp,
) -> None:
    async with slack_app.database.transaction() as connection:
        await reviews.begin(slack_app.database, connection, hold(since=NOW - 3 * DAY))
        review = await reviews.read_lasting(connection, "checkout")
        assert review is not None
    assert "to agree on" not in str(await slack_app.types("omar", "/digest", "#checkout"))
    async with slack_app.database.transaction() as connection:
        await reviews.set_asked(connection, review, [ReviewedWork("Limit the pool")], NOW)
    assert "1 freeze to agree on" in str(await slack_app.types("omar", "/digest", "#checkout"))
    assert "to agree on" not in str(await slack_app.types("omar", "/digest search", "#checkout"))
    async with slack_app.database.transaction() as connection:
        for side in TeamSide:
            await reviews.set_agreed(connection, review, side, Agreement("U0DANA", NOW))
    assert "to agree on" not in str(await slack_app.types("omar", "/digest", "#checkout"))


async def test_a_digest_now_is_posted_once_with_its_details_in_the_thread(slack_app: RunningSlackApp) -> None:
    with_teams(slack_app)
    await happen(slack_app)
    answer = await slack_app.types("dana", "/digest now", "#checkout")
    assert answer.text == "Done. It is posted in this channel."
    (head, details) = await told(slack_app)
    assert head[:2] == ("#checkout", "digest_weekly")
    assert head[2].startswith("The week of checkout\n")
    assert details[:2] == ("#checkout", "digest_details")
    assert "Limit the pool" in details[2]
    assert await changes(slack_app) == [("U0DANA", "digest.sent", "#checkout")]
    async with slack_app.database.reading() as connection:
        threads = set(await connection.scalars(select(outbox.c.thread_id)))
    assert len(threads) == 1
    assert None not in threads


async def test_only_the_teams_and_those_who_may_freeze_send_and_pause(slack_app: RunningSlackApp) -> None:
    with_teams(slack_app)
    for text in ("now", "pause", "resume"):
        refused = await slack_app.types("omar", f"/digest {text}", "#checkout")
        assert "may" in refused.text
        assert "@checkout-devs" in refused.text
    assert await changes(slack_app) == []
    assert await told(slack_app) == []


async def test_a_channel_is_paused_until_a_day_and_resumed(slack_app: RunningSlackApp) -> None:
    paused = await slack_app.types("sam", "/digest pause until friday 18:00 sale week", "#checkout")
    assert paused.ephemeral_to is None
    assert paused.text.startswith("<@U0SAM> paused the digests of #checkout until <!date^")
    async with slack_app.database.reading() as connection:
        found = await pauses.find(connection, "#checkout", NOW)
        assert found is not None
        assert found.until is not None
        assert not await pauses.is_paused(connection, "#checkout", found.until + HOUR)
    preview = await slack_app.types("omar", "/digest", "#checkout")
    assert "Paused by <@U0SAM> until" in str(preview)
    resumed = await slack_app.types("sam", "/digest resume", "#checkout")
    assert resumed.text.startswith("<@U0SAM> let the digests of #checkout come again.")
    again = await slack_app.types("sam", "/digest resume", "#checkout")
    assert again.text.startswith("The digests are not paused.")
    assert [action for _, action, _ in await changes(slack_app)] == ["digest.paused", "digest.resumed"]


async def test_the_planning_sheet_says_where_budgets_went_and_what_pace_they_carry(
    slack_app: RunningSlackApp,
) -> None:
    with_teams(slack_app)
    await deploy(slack_app, "1", 30)
    await deploy(slack_app, "2", 20, failed=True)
    sheet = await slack_app.types("omar", "/digest planning checkout", "#general")
    shown = str(sheet)
    assert "Planning: checkout" in shown
    assert "Plan first:" in shown
    assert "Pace: 1 deployment" in shown
    assert "Bucketleak" not in shown
    team = await slack_app.types("omar", "/digest planning @checkout-devs", "#general")
    assert "Planning: @checkout-devs" in str(team)
    missing = await slack_app.types("omar", "/digest planning @chekout-devs", "#general")
    assert "No service names the team `@chekout-devs`. Did you mean @checkout-devs?" in missing.text


async def test_a_word_or_place_that_is_no_service_gets_a_way_on(slack_app: RunningSlackApp) -> None:
    nowhere = await slack_app.types("sam", "/digest now", "#general")
    assert nowhere.text == "No service speaks in this channel. Name one: `/digest now SERVICE`."
    unknown = await slack_app.types("sam", "/digest chekout", "#general")
    assert "There is no service `chekout`. Did you mean `checkout`?" in unknown.text
    near = await slack_app.types("sam", "/digest plannning", "#general")
    assert "`/digest planning`" in near.text


async def test_where_the_policies_switch_digests_off_that_is_said(slack_app: RunningSlackApp) -> None:
    policies = slack_app.shop.catalog
    off = replace(policies.services["checkout"], digests=DigestSettings(None))
    slack_app.shop.catalog = replace(policies, services={**policies.services, "checkout": off})
    seen = await slack_app.types("omar", "/digest", "#checkout")
    assert "The policies switch the digests of #checkout off." in str(seen)
