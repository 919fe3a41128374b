"""The announcement of a freeze once its hold has ended, by whatever way: no button there does nothing."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold import HoldKind
from bot.freezes.hold_registry import HoldRegistry, NothingToLiftError
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.model import Message
from bot.slack.announcements.freeze_buttons import LIFT, REQUEST
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store.tables.core import outbox
from bot.store.told_messages import find_told, replace_content
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.delivery import BRISK, Delivery, open_delivery, working
from tests.support.due_holds import expire
from tests.support.examples import WORKSPACE, shop_service
from tests.support.values import budget, in_force

CHECKOUT = shop_service()
TOLD_IN = ("#checkout", "#releases")


@dataclass
class Freezes:
    """Holds whose announcements are delivered to the stand-in for Slack."""

    delivery: Delivery
    registry: HoldRegistry
    judge: BudgetJudge

    async def place(self, request: str = "r1", until: datetime | None = None, **changes: object) -> None:
        values = {"by": "U0SAM", "reason": "peak sale", "now": NOW, "request": request, "until": until}
        await self.registry.place(CHECKOUT, **(values | changes))  # type: ignore[arg-type]
        await self.deliver()

    async def deliver(self) -> None:
        async with self.delivery.dispatcher():
            await self.delivery.until_done()

    def announced(self, channel: str = "#checkout") -> Sequence[Message]:
        """Return the announcements of freezes in a channel, oldest first."""
        return [one for one in self.delivery.slack.messages(channel) if "is frozen —" in one.text]

    def edits(self) -> int:
        return sum(call.method == "chat.update" for call in self.delivery.slack.calls)


@pytest.fixture
async def freezes(url: str, tmp_path: Path) -> AsyncIterator[Freezes]:
    announce = FreezeAnnouncer(in_force(WORKSPACE))
    async with open_delivery(tmp_path, url=url) as delivery:
        database = delivery.database
        yield Freezes(delivery, HoldRegistry(database, announce), BudgetJudge(database, announce))
        # One test deletes what is to be edited; each dispatcher begins without knowing the last posts.
        assert {made.error for made in delivery.slack.refused} <= {"message_not_found", "ratelimited"}


def action_ids(message: Message) -> set[str]:
    rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]
    return {element["action_id"] for row in rows for element in row}


async def test_a_lifted_freeze_loses_its_buttons_in_both_channels(freezes: Freezes) -> None:
    await freezes.place()
    for channel in TOLD_IN:
        assert {LIFT, REQUEST} <= action_ids(freezes.announced(channel)[0])
    await freezes.registry.lift(CHECKOUT, by="U0DANA", reason="the sale is over", now=NOW + HOUR)
    await freezes.deliver()
    for channel in TOLD_IN:
        (message,) = freezes.announced(channel)
        assert action_ids(message) == {"question.show"}
        line = message.text.splitlines()[-1]
        assert line.startswith("<@U0DANA> lifted it <!date^")
        assert line.endswith(": the sale is over")
        assert message.blocks[-2]["elements"][0]["text"] == line
        for stale in ("Next:", "Still allowed:"):
            assert stale not in message.text + str(message.blocks)
        assert message.text.startswith(":snowflake: *checkout* is frozen — by <@U0SAM>: peak sale")
    assert freezes.edits() == 2
    await freezes.deliver()
    assert freezes.edits() == 2


async def test_a_freeze_whose_time_ran_out_says_so(freezes: Freezes) -> None:
    await freezes.place(until=NOW + HOUR)
    await expire(freezes.delivery.database, freezes.registry, NOW + HOUR)
    await freezes.deliver()
    (message,) = freezes.announced()
    assert not {LIFT, REQUEST} & action_ids(message)
    assert "\nEnded <!date^" in message.text
    assert message.text.endswith(": its time ran out.")


async def test_a_replaced_freeze_says_so_and_the_new_one_keeps_its_buttons(freezes: Freezes) -> None:
    await freezes.place()
    await freezes.place("r2", reason="longer sale", replacing=True)
    first, second = freezes.announced()
    assert "replaced by a new hold" in first.text
    assert not {LIFT, REQUEST} & action_ids(first)
    assert {LIFT, REQUEST} <= action_ids(second)


async def test_one_persons_freeze_stays_as_it_is_when_another_ends(freezes: Freezes) -> None:
    await freezes.place(until=NOW + HOUR)
    await freezes.place("r2", by="U0DANA", reason="audit")
    await expire(freezes.delivery.database, freezes.registry, NOW + HOUR)
    await freezes.deliver()
    first, second = freezes.announced()
    assert REQUEST not in action_ids(first)
    assert {LIFT, REQUEST} <= action_ids(second)


async def test_an_incidents_freeze_says_that_the_incident_is_over(freezes: Freezes) -> None:
    await freezes.place("incident:1:7", kind=HoldKind.INCIDENT, by="governor", reason="sev2 incident: 500s")
    (message,) = freezes.announced()
    assert action_ids(message) == {REQUEST, "question.show"}
    await freezes.registry.lift_incident(
        CHECKOUT, incident="incident:1:", reason="the incident is mitigated", now=NOW + HOUR
    )
    await freezes.deliver()
    (message,) = freezes.announced()
    assert action_ids(message) == {"question.show"}
    assert message.text.endswith(": the incident is mitigated.")


async def test_a_budgets_freeze_loses_its_button_with_the_recovery(freezes: Freezes) -> None:
    of = CHECKOUT.slos[0]
    for minute, left in enumerate((0.4, -0.1)):
        await freezes.judge.judge(CHECKOUT, [budget(left, of=of)], NOW + minute * MINUTE)
        await freezes.deliver()
    (message,) = freezes.announced()
    assert REQUEST in action_ids(message)
    assert REQUEST in action_ids(freezes.delivery.slack.messages("#checkout")[0])
    for minute in (20, 40):
        await freezes.judge.judge(CHECKOUT, [budget(0.5, of=of)], NOW + minute * MINUTE)
    await freezes.deliver()
    for message in [one for name in TOLD_IN for one in freezes.delivery.slack.messages(name)]:
        assert REQUEST not in action_ids(message)
    assert "Ended <!date^" in freezes.announced()[0].text
    head = freezes.delivery.slack.messages("#checkout")[0]
    assert "may ship again" in head.text


async def test_a_freeze_that_ended_before_it_was_sent_is_sent_and_edited(freezes: Freezes) -> None:
    await freezes.registry.place(CHECKOUT, by="U0SAM", reason="peak sale", until=None, request="r1", now=NOW)
    await freezes.registry.lift(CHECKOUT, by="U0SAM", reason="", now=NOW + MINUTE)
    await freezes.deliver()
    (message,) = freezes.announced()
    assert not {LIFT, REQUEST} & action_ids(message)
    assert message.text.splitlines()[-1].startswith("<@U0SAM> lifted it <!date^")


async def test_a_deleted_announcement_holds_nothing_up(freezes: Freezes) -> None:
    await freezes.place()
    workspace = freezes.delivery.slack.workspace
    workspace.delete(workspace.channel("#checkout"), freezes.announced()[0])
    await freezes.registry.lift(CHECKOUT, by="U0SAM", reason="", now=NOW + MINUTE)
    await freezes.deliver()
    assert {row.state for row in await freezes.delivery.rows()} == {"sent"}
    assert "message_not_found" in {made.error for made in freezes.delivery.slack.refused}


@pytest.mark.parametrize("fault", [InjectedFault.CUT, InjectedFault.RATE_LIMITED, InjectedFault.SERVER_ERROR])
async def test_a_fault_between_two_replicas_leaves_one_ended_announcement(
    freezes: Freezes, fault: InjectedFault
) -> None:
    await freezes.place()
    await freezes.registry.lift(CHECKOUT, by="U0SAM", reason="done", now=NOW + MINUTE)
    delivery = freezes.delivery
    delivery.slack.faults.once(fault, "chat.update")
    async with delivery.dispatcher(), working(delivery.database, delivery.client, timing=BRISK):
        await delivery.until_done()
    for channel in TOLD_IN:
        (message,) = freezes.announced(channel)
        assert message.text.count("lifted it") == 1
        assert not {LIFT, REQUEST} & action_ids(message)


async def test_what_became_private_meanwhile_stays_so(freezes: Freezes) -> None:
    await freezes.place("incident:1:7", kind=HoldKind.INCIDENT, by="governor", reason="sev2 incident: secret")
    database = freezes.delivery.database
    async with database.reading() as connection:
        query = select(outbox.c.id).where(outbox.c.channel == "#checkout", outbox.c.hold_id.is_not(None))
        told = await find_told(connection, (await connection.execute(query)).scalar_one())
    assert told is not None
    async with database.transaction() as connection:
        text, blocks = json.loads(
            json.dumps([told.message.text, list(told.message.blocks)]).replace(
                "incident: secret", "private incident"
            )
        )
        hidden = replace(told.message, text=text, blocks=blocks)
        assert await replace_content(connection, told, hidden)
        assert not await replace_content(connection, told, told.message)
    await freezes.registry.lift_incident(
        CHECKOUT, incident="incident:1:", reason="the incident is mitigated", now=NOW + timedelta(hours=1)
    )
    await freezes.deliver()
    (message,) = freezes.announced()
    assert "private incident" in message.text
    assert "secret" not in message.text + str(message.blocks)


async def test_a_second_lift_edits_nothing_again(freezes: Freezes) -> None:
    await freezes.place()
    await freezes.registry.lift(CHECKOUT, by="U0SAM", reason="done", now=NOW + MINUTE)
    rows = [row for row in await freezes.delivery.rows() if row.is_edit]
    assert [(row.channel, row.event_type) for row in rows] == [(name, "hold_ended") for name in TOLD_IN]
    with pytest.raises(NothingToLiftError):
        await freezes.registry.lift(CHECKOUT, by="U0DANA", reason="again", now=NOW + MINUTE)
    assert len([row for row in await freezes.delivery.rows() if row.is_edit]) == 2
