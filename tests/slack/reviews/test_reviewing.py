"""The review of a long freeze in Slack: below its announcement, filled in by a form, agreed on by buttons."""

from dataclasses import replace

from bot.catalog.teams import Teams
from bot.sandbox.fake_slack.model import Message
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.reviews.messages import AGREE, FILL_IN
from bot.tasks.runner import TaskRunner
from bot.teams.reviews.review import TeamSide
from tests.support.clock import DAY
from tests.support.delivery import until_done, working
from tests.support.examples import WORKSPACE
from tests.support.slack_app import RunningSlackApp, build_spending
from tests.support.slack_incidents import typed
from tests.support.values import catalog

DEVELOPMENT, RELIABILITY = AGREE[TeamSide.DEVELOPMENT], AGREE[TeamSide.RELIABILITY]
DUE = {"type": "datepicker", "selected_date": "2026-12-24"}


def person(id_: str) -> dict[str, str]:
    return {"type": "users_select", "selected_user": id_}


async def shown(slack_app: RunningSlackApp) -> list[Message]:
    """Deliver what waits; return what the channel of checkout shows then, to everybody."""
    async with working(slack_app.database, slack_app.client, timing=DeliveryTiming()):
        await until_done(slack_app.database)
    return [each for each in slack_app.slack.messages("#checkout") if each.ephemeral_to is None]


async def reviewed(slack_app: RunningSlackApp) -> Message:
    """Freeze checkout for three days; return what asks both sides."""
    shop = slack_app.shop
    checkout = shop.catalog.services["checkout"]
    checkout = replace(
        checkout,
        error_budget_policy=replace(checkout.error_budget_policy, review_after=3 * DAY),
        leads=Teams(development=("U0RILEY",)),
        teams=Teams(reliability=("@sre",)),
    )
    others = [each for each in shop.catalog.services.values() if each.name != "checkout"]
    shop.catalog = catalog(checkout, *others, workspace=WORKSPACE)
    await slack_app.types("sam", "/freeze checkout it burns")
    await shown(slack_app)
    shop.clock.time += 3 * DAY
    runner = TaskRunner(slack_app.database, shop.clock)
    runner.register(
        slack_app.reviews.handlers(slack_app.status_reader, build_spending(shop, slack_app.database))
    )
    await runner.tick()
    return (await shown(slack_app))[-1]


async def fills_in(slack_app: RunningSlackApp, who: str, message: Message) -> None:
    await slack_app.presses(who, message, FILL_IN, "#checkout")
    faults = await slack_app.submits(who, text_0=typed("Limit the pool"), owner_0=person("U0RILEY"))
    assert faults == {"due_0": "Choose the day by which it is done."}
    faults = await slack_app.submits(
        who, text_0=typed("Limit the pool"), owner_0=person("U0RILEY"), due_0=DUE
    )
    assert faults == {}


def at(slack_app: RunningSlackApp, message: Message) -> Message:
    """Return the message as the channel shows it now."""
    return next(one for one in slack_app.slack.messages("#checkout") if one.ts == message.ts)


async def test_both_leads_are_asked_below_the_announcement_and_agree(slack_app: RunningSlackApp) -> None:
    asked = await reviewed(slack_app)
    announced = slack_app.slack.messages("#checkout")[0]
    assert asked.thread_ts == announced.ts
    assert "Agree on the reliability work" in asked.text
    assert "<@U0RILEY>" in asked.text
    await slack_app.presses("riley", asked, DEVELOPMENT, "#checkout")
    assert "nothing to agree on yet" in slack_app.slack.seen_by("riley", "#checkout")[-1].text
    await fills_in(slack_app, "sam", asked)
    now = at(slack_app, asked)
    assert "Action 1: Limit the pool — <@U0RILEY>, due 2026-12-24" in now.text
    await slack_app.presses("riley", now, DEVELOPMENT, "#checkout")
    now = at(slack_app, asked)
    assert "Development: <@U0RILEY>" in now.text
    assert DEVELOPMENT not in str(now.blocks)
    await slack_app.presses("sam", now, RELIABILITY, "#checkout")
    told = [each.text for each in await shown(slack_app) if each.thread_ts == announced.ts]
    assert any(
        ":white_check_mark: Both teams agreed on the reliability work of *checkout*" in each for each in told
    )
    budget = await slack_app.types("sam", "/budget checkout", "#general")
    assert "Review of the freeze: both teams agreed on 1 action." in budget.text


async def test_nobody_agrees_for_the_other_side(slack_app: RunningSlackApp) -> None:
    asked = await reviewed(slack_app)
    await fills_in(slack_app, "sam", asked)
    await slack_app.presses("sam", at(slack_app, asked), DEVELOPMENT, "#checkout")
    assert "may agree for development" in slack_app.slack.seen_by("sam", "#checkout")[-1].text
    await slack_app.presses("morgan", at(slack_app, asked), FILL_IN, "#checkout")
    assert "may fill in the work" in slack_app.slack.seen_by("morgan", "#checkout")[-1].text


async def test_the_thread_says_that_the_freeze_is_over(slack_app: RunningSlackApp) -> None:
    asked = await reviewed(slack_app)
    await slack_app.types("sam", "/freeze lift checkout fixed")
    texts = [each.text for each in await shown(slack_app) if each.thread_ts == asked.thread_ts]
    assert texts[-1] == ("*checkout* may ship again after 3\u00a0d. The review is over without an agreement.")
    await slack_app.presses("riley", asked, DEVELOPMENT, "#checkout")
    assert "this review is over" in at(slack_app, asked).text
