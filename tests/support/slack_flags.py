"""A Slack app with flags: checkout with its flag, a protected environment, and permissions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import select, update

from bot.budgets.budget import Budget, EventCounts, assess
from bot.catalog.catalog import FlagEnvironment, FlagSettings, Permissions, Service
from bot.catalog.slo import Slo
from bot.flags.flag import FlagState
from bot.sandbox.fake_slack.model import Message
from bot.store import audit
from bot.store.audit import AuditEntry
from bot.store.tables.core import outbox
from tests.support.clock import NOW
from tests.support.examples import WORKSPACE, shop_service
from tests.support.slack_app import RunningSlackApp, counted_at, run_slack_app, shop
from tests.support.slack_incidents import typed
from tests.support.values import catalog

FLAG = "new-checkout"
FIVE_MINUTES = timedelta(minutes=5)
WORKSPACE_WITH_FLAGS = replace(
    WORKSPACE,
    flags=FlagSettings(
        environments=(
            FlagEnvironment("production", protected=True, default=True),
            FlagEnvironment("staging"),
        )
    ),
    permissions=Permissions(
        freeze=("@sre",),
        exempt=("@sre",),
        flags={"production": ("@checkout-devs", "@sre"), "staging": ("everyone",)},
    ),
)


def burning(of: Slo, rate: float, remaining: float = 0.8, as_of: datetime = NOW) -> Budget:
    """Return a budget that burns at `rate` over the guard's five minutes."""
    share = float(1 - of.objective)
    recent = {FIVE_MINUTES: EventCounts(rate * share * 1_000, 1_000)}
    return assess(
        of, events=EventCounts((1 - remaining) * share * 1_000_000, 1_000_000), recent=recent, as_of=as_of
    )


def with_flags(name: str = "checkout", *flags: str, **changes: Any) -> Service:
    return replace(shop_service(name), flags=flags or (FLAG,), **changes)


@asynccontextmanager
async def run_slack_app_with_flags(path: Path, *services: Service) -> AsyncIterator[RunningSlackApp]:
    offered = services or (with_flags(), shop_service("search"))
    of = shop(*offered)
    of.catalog = catalog(*offered, workspace=WORKSPACE_WITH_FLAGS)
    of.budgets = {each.name: [burning(promised, 0.5) for promised in each.slos] for each in offered}
    async with open_flag_office_of(path, of) as slack_app:
        yield slack_app


open_flag_office_of = run_slack_app


async def state(slack_app: RunningSlackApp, environment: str = "production", flag: str = FLAG) -> FlagState:
    return await slack_app.flags.changes.backend.read(flag, environment)


async def exposure(slack_app: RunningSlackApp, environment: str = "production") -> float | None:
    return (await state(slack_app, environment)).exposure


async def told(slack_app: RunningSlackApp) -> Sequence[tuple[str, str, str]]:
    """Return every announcement: channel, kind and text."""
    async with slack_app.database.reading() as connection:
        query = select(outbox.c.channel, outbox.c.event_type, outbox.c.text).order_by(outbox.c.id)
        return [(row.channel, row.event_type, row.text) for row in await connection.execute(query)]


async def deliver(slack_app: RunningSlackApp) -> Sequence[Message]:
    """Post what waits in the outbox, as the dispatcher would; return the messages as Slack has them."""
    client = AsyncWebClient(token=slack_app.slack.bot_token, base_url=slack_app.slack.api_url)
    posted = []
    async with slack_app.database.transaction() as connection:
        query = select(outbox).where(outbox.c.state == "waiting").order_by(outbox.c.id)
        for row in (await connection.execute(query)).all():
            await client.chat_postMessage(channel=row.channel, text=row.text, blocks=row.blocks)
            posted.append(slack_app.slack.messages(row.channel)[-1])
            await connection.execute(update(outbox).where(outbox.c.id == row.id).values(state="sent"))
    return posted


async def audited(slack_app: RunningSlackApp) -> Sequence[AuditEntry]:
    async with slack_app.database.reading() as connection:
        return [row.entry for row in await audit.read(connection)]


async def changes(slack_app: RunningSlackApp) -> Sequence[tuple[str, Any, Any, str, Any]]:
    """Return who changed the flag, from what to what, why, and who approved it."""
    found = []
    for entry in await audited(slack_app):
        if entry.action == "flag.changed":
            before: Mapping[str, Any] = entry.before or {}
            after: Mapping[str, Any] = entry.after or {}
            found.append((entry.actor, before["shown"], after["shown"], entry.reason, after["approved_by"]))
    return found


async def declines(slack_app: RunningSlackApp, who: str, request: Message, why: str = "not today") -> None:
    """Press Decline under a request in #checkout, and say why."""
    await slack_app.presses(who, request, "flag.decline", "#checkout")
    assert await slack_app.submits(who, comment=typed(why)) == {}


async def raised(slack_app: RunningSlackApp, to: str = "25%") -> None:
    """Raise the flag in production as dana, and approve it as sam."""
    await slack_app.types("dana", f"/flag rollout {FLAG} {to} small steps first", "#checkout")
    asked = (await deliver(slack_app))[-1]
    await slack_app.presses("sam", asked, "flag.approve", "#checkout")


async def evaluated(slack_app: RunningSlackApp, rate: float = 0.5, **changes: Any) -> None:
    """Evaluate checkout with a budget that burns at that rate, also since a change of its flag."""
    slack_app.shop.counts = counted_at(rate)
    promised = slack_app.shop.catalog.services["checkout"].slos
    slack_app.shop.budgets["checkout"] = [burning(one, rate, **changes) for one in promised]
    slack_app.flags.evaluated(["checkout"])
    await slack_app.tick()


async def met(slack_app: RunningSlackApp, requests: float) -> None:
    """Evaluate checkout twice with that many requests, all good, since the change of its flag."""
    promised = slack_app.shop.catalog.services["checkout"].slos
    for _ in range(2):
        now = slack_app.shop.clock.now()
        slack_app.shop.budgets["checkout"] = [burning(one, 0.5, as_of=now) for one in promised]
        slack_app.shop.counts = counted_at(0, requests)
        slack_app.flags.evaluated(["checkout"])
        await slack_app.tick()


def later(slack_app: RunningSlackApp, length: timedelta) -> None:
    slack_app.shop.clock.time += length
