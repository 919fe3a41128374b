"""Events reach their receivers at least once, signed, whatever fails between; on both stores."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import select

from bot.catalog.current import CurrentCatalog
from bot.catalog.webhooks import WebhookEndpoint
from bot.freezes.hold_registry import HoldRegistry
from bot.slack.notices.disabled_webhooks import DisabledWebhooks
from bot.store import audit
from bot.store.audit import AuditEntry
from bot.store.database import Database
from bot.store.leases import Lease
from bot.store.tables.core import outbox
from bot.tasks.runner import TaskRunner
from bot.webhooks import records
from bot.webhooks.client import WebhookClient
from bot.webhooks.delivery import WebhookDelivery, WebhookState
from bot.webhooks.events import WebhookEvents
from bot.webhooks.handler import GIVE_UP_AFTER, WebhookHandler
from bot.webhooks.redelivery import NoDeliveryError, Redeliveries
from tests.support.clock import HOUR, StoppedClock
from tests.support.stores import create_tables
from tests.support.values import catalog, service
from tests.webhooks.receiver import OLDER, SECRET, Receiver, receiver

SECOND = timedelta(seconds=1)


class Sender:
    """What the bot has for outgoing webhooks, on a clock that stands still."""

    def __init__(self, database: Database, receiver: Receiver, session: aiohttp.ClientSession) -> None:
        self.database, self.receiver, self._session = database, receiver, session
        # Receivers compare the time of an event with their own.
        self.clock = StoppedClock(datetime.now(UTC))
        self.current = CurrentCatalog(catalog(service(), service("search")))
        self.holds = HoldRegistry(database, lambda _: ())
        self.events = WebhookEvents(database, self.current, self.clock, Lease("webhooks"))
        self.redeliveries = Redeliveries(database, self.current, self.clock)
        self.restart()

    def restart(self) -> None:
        """Forget everything but what is stored."""
        self.tasks = TaskRunner(self.database, self.clock)
        client, announce = WebhookClient(self._session), DisabledWebhooks(self.current)
        self.tasks.register(
            WebhookHandler(name, client, self.database, self.current, announce) for name in ("a", "b")
        )

    async def sends_to(self, *endpoints: WebhookEndpoint) -> None:
        """Put endpoints into the policies in force."""
        policies = self.current.catalog
        webhooks = {endpoint.name: endpoint for endpoint in endpoints}
        self.current.set(replace(policies, workspace=replace(policies.workspace, webhooks=webhooks)))
        await self.events.follow(self.current.catalog)

    def endpoint(self, name: str = "a", *secrets: str, **changes: object) -> WebhookEndpoint:
        made = WebhookEndpoint(name, self.receiver.url, secrets or (SECRET,))
        return replace(made, **changes)  # type: ignore[arg-type]

    async def freeze(self, name: str = "checkout", reason: str = "peak sale") -> None:
        await self.holds.place(
            self.current.catalog.services[name], by="U1", reason=reason, until=None,
            request=f"{name} {reason}", now=self.clock.now(),
        )  # fmt: skip

    async def happens(self, action: str, subject: str = "x", about: str | None = None) -> None:
        async with self.database.transaction() as connection:
            await audit.record(connection, AuditEntry("U1", action, subject, "", about), self.clock.now())

    async def works(self, after: timedelta = timedelta()) -> None:
        """Let time pass, then do what is due."""
        self.clock.time += after
        await self.events.plan_deliveries()
        await self.tasks.tick()

    async def deliveries(self) -> list[WebhookDelivery]:
        async with self.database.reading() as connection:
            return list(reversed(await records.read_deliveries(connection, limit=1_000)))

    async def states(self) -> list[WebhookState]:
        return [delivery.state for delivery in await self.deliveries()]

    async def told(self) -> list[str]:
        async with self.database.reading() as connection:
            return list(await connection.scalars(select(outbox.c.text).order_by(outbox.c.id)))


@pytest.fixture
async def sender(url: str) -> AsyncIterator[Sender]:
    async with (
        Database(url) as database,
        receiver() as found,
        aiohttp.ClientSession() as session,
    ):
        await create_tables(database)
        yield Sender(database, found, session)


async def test_a_hold_is_told_with_a_signature_that_the_receiver_verifies(sender: Sender) -> None:
    await sender.freeze("search", "before")
    await sender.sends_to(sender.endpoint())
    await sender.freeze()
    await sender.works()
    ((id_, event),) = sender.receiver.taken
    assert id_.startswith("evt_")
    assert (event["type"], event["timestamp"][-1]) == ("hold.placed", "Z")
    data = event["data"]
    assert (data["service"], data["actor"], data["reason"]) == ("checkout", "U1", "peak sale")
    assert data["after"]["kind"] == "person"
    (delivery,) = await sender.deliveries()
    assert (delivery.state, delivery.status, delivery.attempts) == (WebhookState.DELIVERED, 204, 1)
    await sender.works(HOUR)
    assert len(sender.receiver.taken) == 1


async def test_an_endpoint_may_have_the_longest_name(sender: Sender) -> None:
    name = "n" * 63
    await sender.sends_to(sender.endpoint(name))
    await sender.freeze()
    await sender.works()
    assert [delivery.endpoint for delivery in await sender.deliveries()] == [name]


async def test_two_secrets_sign_while_one_is_changed(sender: Sender) -> None:
    await sender.sends_to(sender.endpoint("a", SECRET, OLDER))
    await sender.freeze()
    sender.receiver.secret = OLDER
    await sender.works()
    await sender.freeze("search")
    sender.receiver.secret = SECRET
    await sender.works()
    assert sender.receiver.types == ["hold.placed"] * 2
    # A receiver that knows neither secret takes nothing.
    await sender.sends_to(sender.endpoint("a", OLDER))
    await sender.freeze(reason="again")
    await sender.works()
    assert (await sender.deliveries())[-1].status == 401


async def test_an_endpoint_gets_the_events_and_services_that_it_names(sender: Sender) -> None:
    await sender.sends_to(
        sender.endpoint(events=("hold.*", "token.created"), services=frozenset({"checkout"})),
        sender.endpoint("b", events=("token.created", "incident.opened")),
    )
    await sender.freeze()
    await sender.freeze("search")
    await sender.happens("token.created")
    await sender.happens("incident.opened", about="search")
    await sender.happens("incident.changed", about="search")
    await sender.works()
    found = [(delivery.endpoint, delivery.event) for delivery in await sender.deliveries()]
    assert sorted(found) == [("a", "hold.placed"), ("b", "incident.opened"), ("b", "token.created")]
    assert sorted(sender.receiver.types) == ["hold.placed", "incident.opened", "token.created"]


async def test_what_fails_is_tried_ever_later_with_the_same_id(sender: Sender) -> None:
    await sender.sends_to(sender.endpoint())
    await sender.freeze()
    sender.receiver.answers = [web.Response(status=status) for status in (500, 404, 503)]
    await sender.works()
    for wait_s in (5, 10, 20):
        before = len(sender.receiver.asked)
        await sender.works((wait_s - 1) * SECOND)
        assert len(sender.receiver.asked) == before
        await sender.works(SECOND)
        assert len(sender.receiver.asked) == before + 1
    assert sender.receiver.types == ["hold.placed"]
    assert len({asked["webhook-id"] for asked in sender.receiver.asked}) == 1
    (delivery,) = await sender.deliveries()
    assert (delivery.attempts, delivery.error, delivery.status) == (4, None, 204)


@pytest.mark.parametrize("header", ["120", "http"])
async def test_a_receiver_is_asked_again_when_it_says(sender: Sender, header: str) -> None:
    await sender.sends_to(sender.endpoint())
    await sender.freeze()
    at = (sender.clock.time + timedelta(seconds=121)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    after = at if header == "http" else header
    sender.receiver.answers = [web.Response(status=429, headers={"Retry-After": after})]
    await sender.works()
    await sender.works(timedelta(seconds=115))
    assert sender.receiver.types == []
    await sender.works(timedelta(seconds=10))
    assert sender.receiver.types == ["hold.placed"]


@pytest.mark.parametrize("header", ["0", "1", "Fri, 01 Jan 2021 00:00:00 GMT"])
async def test_a_receiver_that_asks_for_an_early_attempt_is_still_asked_ever_less_often(
    sender: Sender, header: str
) -> None:
    await sender.sends_to(sender.endpoint())
    await sender.freeze()
    sender.receiver.answers = [web.Response(status=503, headers={"Retry-After": header}) for _ in range(9)]
    for _ in range(40):
        await sender.works(SECOND)
    assert len(sender.receiver.asked) == 4


async def test_while_a_receiver_is_away_only_one_event_asks_for_it(sender: Sender) -> None:
    await sender.sends_to(sender.endpoint())
    sender.receiver.status = 500
    for number in range(20):
        await sender.happens("hold.placed", f"{number}", "checkout")
    await sender.works()
    assert len(sender.receiver.asked) == 1
    sender.restart()
    sender.receiver.status = 200
    await sender.works(timedelta(seconds=5))
    subjects = [event["data"]["subject"] for _, event in sender.receiver.taken]
    assert sorted(subjects, key=int) == [str(number) for number in range(20)]


async def test_a_broken_receiver_delays_no_other(sender: Sender) -> None:
    async with receiver() as other:
        sender.receiver.slow_s = 1.0
        sender.receiver.status = 500
        await sender.sends_to(sender.endpoint(), sender.endpoint("b", url=other.url))
        await sender.freeze()
        await sender.works()
        assert other.types == ["hold.placed"]
        assert await sender.states() == [WebhookState.PENDING, WebhookState.DELIVERED]


async def test_an_endpoint_that_takes_nothing_for_three_days_gets_no_more(sender: Sender) -> None:
    await sender.sends_to(sender.endpoint())
    await sender.freeze()
    sender.receiver.status = 500
    await sender.works()
    for _ in range(80):
        await sender.works(HOUR)
    # `webhook.disabled` is the second.
    assert await sender.states() == [WebhookState.FAILED] * 2
    assert len([text for text in await sender.told() if "gets no more events" in text]) == 1
    asked = len(sender.receiver.asked)
    assert asked >= GIVE_UP_AFTER / HOUR
    await sender.freeze("search")
    await sender.works(HOUR)
    *_, last = deliveries = await sender.deliveries()
    assert {delivery.state for delivery in deliveries} == {WebhookState.FAILED}
    assert (last.event, last.error, last.attempts) == ("hold.placed", records.DISABLED, 0)
    assert len(sender.receiver.asked) == asked
    # What is delivered again, and taken, opens it.
    sender.receiver.status = 200
    sender.clock.time = datetime.now(UTC) + SECOND
    await sender.redeliveries.ask(last.id, "U2")
    await sender.works()
    assert sender.receiver.types[0] == "hold.placed"
    await sender.freeze(reason="again")
    await sender.works(SECOND)
    assert sender.receiver.types[-1] == "hold.placed"


async def test_410_disables_at_once_and_a_changed_endpoint_is_tried_again(sender: Sender) -> None:
    await sender.sends_to(sender.endpoint())
    await sender.freeze()
    sender.receiver.answers = [web.Response(status=410, text="gone for good")]
    await sender.works()
    (delivery,) = await sender.deliveries()
    assert (delivery.state, delivery.status, delivery.answer) == (WebhookState.FAILED, 410, "gone for good")
    assert len(await sender.told()) == 1
    await sender.sends_to(sender.endpoint("a", SECRET, OLDER))
    await sender.freeze("search")
    await sender.works()
    assert sender.receiver.types[-1] == "hold.placed"


async def test_redirects_are_not_followed_and_answers_are_cut(sender: Sender) -> None:
    await sender.sends_to(sender.endpoint())
    await sender.freeze()
    elsewhere = web.Response(status=307, headers={"Location": sender.receiver.url}, text="\x00é" * 10_000)
    sender.receiver.answers = [elsewhere]
    await sender.works()
    assert len(sender.receiver.asked) == 1
    (delivery,) = await sender.deliveries()
    assert delivery.error == "the receiver answers 307: redirects are not followed"
    assert delivery.answer is not None
    assert (len(delivery.answer), "\x00" in delivery.answer) == (500, False)
    assert (await sender.states()) == [WebhookState.PENDING]


async def test_nobody_listening_is_a_failure_that_is_tried_again(sender: Sender) -> None:
    away = sender.endpoint(url="http://127.0.0.1:9/x")
    await sender.sends_to(away)
    await sender.freeze()
    await sender.works()
    (delivery,) = await sender.deliveries()
    assert (delivery.state, delivery.status) == (WebhookState.PENDING, None)
    assert "does not answer" in (delivery.error or "")
    # It was repaired: nothing waits any more.
    await sender.sends_to(sender.endpoint())
    await sender.works()
    assert sender.receiver.types == ["hold.placed"]


async def test_an_endpoint_that_leaves_gets_nothing_and_one_that_returns_soon_misses_nothing(
    sender: Sender,
) -> None:
    await sender.sends_to(sender.endpoint())
    sender.receiver.status = 500
    await sender.freeze()
    await sender.works()
    await sender.sends_to()
    await sender.works(HOUR / 2)
    assert await sender.states() == [WebhookState.FAILED]
    sender.receiver.status = 200
    await sender.freeze("search")
    await sender.sends_to(sender.endpoint())
    sender.clock.time = datetime.now(UTC) + timedelta(seconds=6)
    await sender.works()
    assert [event["data"]["service"] for _, event in sender.receiver.taken] == ["search"]
    await sender.sends_to()
    await sender.freeze("search", "while nobody listens")
    sender.clock.time += 2 * HOUR
    await sender.sends_to(sender.endpoint())
    await sender.works()
    assert len(sender.receiver.taken) == 1


async def test_of_two_replicas_each_event_is_planned_once(sender: Sender) -> None:
    await sender.sends_to(sender.endpoint())
    other = WebhookEvents(sender.database, sender.current, sender.clock, Lease("webhooks"))
    for number in range(450):
        await sender.happens("hold.placed", f"{number}", "checkout")
    await sender.events.plan_deliveries()
    await other.plan_deliveries()
    assert len(await sender.deliveries()) == 450
    while len(sender.receiver.taken) < 450:
        await sender.tasks.tick()
    assert [event["data"]["subject"] for _, event in sender.receiver.taken] == [str(n) for n in range(450)]


async def test_asking_for_what_there_is_not_is_refused(sender: Sender) -> None:
    await sender.sends_to(sender.endpoint())
    await sender.freeze()
    await sender.works()
    with pytest.raises(NoDeliveryError):
        await sender.redeliveries.ask(99, "U2")
    (delivery,) = await sender.deliveries()
    await sender.sends_to()
    with pytest.raises(NoDeliveryError, match="no webhook a any more"):
        await sender.redeliveries.ask(delivery.id, "U2")
