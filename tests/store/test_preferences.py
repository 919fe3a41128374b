"""What people want to be told is kept for each person and Slack workspace, on both stores."""

from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.personal import preferences
from bot.store.personal.notice import PERSONAL_NOTICES, PersonalNotice, PersonalTopic
from bot.store.personal.preferences import DEFAULT_PREFERENCES, PersonalPreferences
from bot.tasks import records
from tests.support.clock import HOUR, NOW

ONE = PersonalPreferences(frozenset({PersonalTopic.SERVICES}))
SEVERAL = PersonalPreferences(frozenset({PersonalTopic.SERVICES, PersonalTopic.APPROVALS}))


async def test_each_person_has_their_own_in_each_workspace(database: Database) -> None:
    async with database.transaction() as connection:
        for workspace, person, wanted in [
            (None, "U0DANA", ONE), (None, "U0DANA", SEVERAL), ("T0OTHER", "U0DANA", ONE), (None, "U0SAM", ONE)
        ]:  # fmt: skip
            await preferences.write(database, connection, workspace, person, preferences=wanted, now=NOW)
        assert (await preferences.read(connection, None, "U0DANA")).topics == SEVERAL.topics
        assert await preferences.read(connection, None, "U0OMAR") == DEFAULT_PREFERENCES
        wanting = await preferences.subscribers(connection, PersonalTopic.APPROVALS)
        assert list(wanting) == [(None, "U0DANA")]
        await preferences.forget(connection, None, "U0DANA")
        wanting = await preferences.subscribers(connection, PersonalTopic.SERVICES)
        assert list(wanting) == [(None, "U0SAM"), ("T0OTHER", "U0DANA")]
        await preferences.forget(connection, "T0OTHER")
        wanting = await preferences.subscribers(connection, PersonalTopic.SERVICES)
        assert list(wanting) == [(None, "U0SAM")]


async def test_a_notice_is_planned_with_its_announcement_for_when_it_is_not_quiet(database: Database) -> None:
    notice = PersonalNotice(PersonalTopic.SERVICES, ("checkout",), "It is frozen.", until=NOW + HOUR)
    message = OutboxMessage("#checkout", "told", "Frozen.", notice=notice)
    async with database.transaction() as connection:
        await enqueue(connection, [message], NOW)
        assert not await records.read_due(connection, PERSONAL_NOTICES, NOW + HOUR, 10), "nobody asked"
        await preferences.write(database, connection, None, "U0DANA", preferences=ONE, now=NOW)
        await enqueue(connection, [message], NOW)
    async with database.reading() as connection:
        assert not await records.read_due(connection, PERSONAL_NOTICES, NOW, 10)
        (task,) = await records.read_due(connection, PERSONAL_NOTICES, NOW + HOUR, 10)
    assert PersonalNotice.from_payload(task.payload).text == "It is frozen."
    assert task.payload["held"]
