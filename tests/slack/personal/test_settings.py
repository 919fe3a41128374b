"""`/governor notify`: each person's own settings, typed and in the form."""

import pytest

from bot.sandbox.fake_slack.model import Json
from bot.slack.personal.settings import NOTIFY_CHANGE
from bot.store.personal import preferences
from bot.store.personal.notice import PersonalTopic
from bot.store.personal.preferences import DEFAULT_PREFERENCES, PersonalPreferences
from tests.support.slack_app import RunningSlackApp

SERVICES, ACTIONS, APPROVALS, INCIDENTS = PersonalTopic


async def wanted(slack_app: RunningSlackApp, person: str = "U0DANA") -> frozenset[PersonalTopic]:
    async with slack_app.database.reading() as connection:
        return (await preferences.read(connection, None, person)).topics


def ticks(*topics: PersonalTopic) -> Json:
    options = [{"text": {"type": "plain_text", "text": each}, "value": each.value} for each in topics]
    return {"type": "checkboxes", "selected_options": options}


async def test_only_due_actions_are_told_of_until_a_person_says_otherwise(slack_app: RunningSlackApp) -> None:
    shown = await slack_app.types("dana", "/governor notify")
    assert shown.text.count(":white_check_mark:") == 1
    assert ":white_check_mark: *actions* on: an action of mine is due" in shown.text
    assert ":white_large_square: *services* off" in shown.text


async def test_topics_are_switched_by_typing_each_for_oneself(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", "/governor notify services on")
    again = await slack_app.types("dana", "/governor notify Services ON")
    assert ":white_check_mark: *services* on" in again.text
    await slack_app.types("dana", "/governor notify actions off")
    assert await wanted(slack_app) == {SERVICES}
    await slack_app.types("dana", "/governor notify all on")
    assert await wanted(slack_app) == set(PersonalTopic)
    await slack_app.types("dana", "/governor notify all off")
    assert await wanted(slack_app) == set()
    assert await wanted(slack_app, "U0SAM") == DEFAULT_PREFERENCES.topics


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("servces on", "I do not know `servces`. Did you mean `/governor notify services on`?"),
        ("services", "Type `/governor notify`, or"),
        ("services maybe", "Type `/governor notify`, or"),
        ("<@U0SAM> on", "I do not know"),
    ],
)
async def test_what_cannot_be_read_says_what_to_type(
    slack_app: RunningSlackApp, typed: str, expected: str
) -> None:
    assert expected in (await slack_app.types("dana", f"/governor notify {typed}")).text
    assert await wanted(slack_app) == DEFAULT_PREFERENCES.topics


async def test_the_form_shows_what_is_on_and_stores_what_is_ticked(slack_app: RunningSlackApp) -> None:
    shown = await slack_app.types("dana", "/governor notify")
    await slack_app.presses("dana", shown, NOTIFY_CHANGE)
    assert await slack_app.submits("dana", topics=ticks(SERVICES, INCIDENTS)) == {}
    assert await wanted(slack_app) == {SERVICES, INCIDENTS}
    await slack_app.presses("dana", shown, NOTIFY_CHANGE)
    assert await slack_app.submits("dana", topics=ticks()) == {}
    assert await wanted(slack_app) == set()


async def test_guests_have_settings_only_where_the_policy_means_them(slack_app: RunningSlackApp) -> None:
    refused = await slack_app.types("kim", "/governor notify services on", "#checkout")
    assert refused.text.startswith(
        "You are a guest in this workspace, so you may not be sent direct messages"
    )
    assert await wanted(slack_app, "U0KIM") == DEFAULT_PREFERENCES.topics


def test_switching_leaves_the_other_topics() -> None:
    before = PersonalPreferences(frozenset({ACTIONS, APPROVALS}))
    assert before.switched([APPROVALS, SERVICES], on=False).topics == {ACTIONS}
    assert before.switched([SERVICES], on=True).topics == {ACTIONS, APPROVALS, SERVICES}
