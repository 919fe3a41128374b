"""Every table has a rule how long its rows are kept, and what expires goes without harm to what stays."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Select, Table, event, func, insert, select, text
from sqlalchemy.dialects import sqlite

from bot.budgets.ledger.ledger import Ledger
from bot.freezes.calendar.retention import delete_past_windows
from bot.store import audit, outbox
from bot.store.audit_chain import ChainVerified, verify_chain
from bot.store.database import Database
from bot.store.migrate import migrate
from bot.store.outbox import OutboxMessage
from bot.store.retention.deletion import ROWS_AT_ONCE, delete_expired
from bot.store.retention.departed_services import note_departed
from bot.store.retention.rules import HISTORY, MESSAGES, RULES
from bot.store.tables import (
    adjustments,
    core,
    deployments,
    digests,
    exemptions,
    flags,
    forecasts,
    gate_waits,
    incidents,
    installations,
    readiness,
    replicas,
    reviews,
    rotations,
    tasks,
    webhooks,
)
from bot.store.tables.core import metadata
from bot.store.tables.freeze_schedules import freeze_schedules
from bot.store.tables.threads import threads
from bot.store.value_lists import begins_with
from tests.support.clock import NOW
from tests.support.paths import DOCS
from tests.support.values import catalog, service

OLD = NOW - HISTORY - timedelta(days=1)
DAY = timedelta(days=1)


def test_every_table_has_a_rule_and_the_documentation_shows_it() -> None:
    assert {table.name for table in RULES} == set(metadata.tables)
    text = (DOCS / "operating.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    documented = {name.strip("` "): kept.strip() for names, kept in rows for name in names.split(",")}
    assert {table.name: documented.get(table.name) for table in RULES} == {
        table.name: rule.kept for table, rule in RULES.items()
    }


async def count(database: Database, table: Table) -> int:
    async with database.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def add(database: Database, table: Table, **values: Any) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(table).values(**values))


async def message(
    database: Database, channel: str, at: datetime, state: str = "sent", text: str = "said"
) -> str:
    async with database.transaction() as connection:
        key = await outbox.enqueue_tracked(connection, OutboxMessage(channel, "told", text), at)
        where = {"channel_id": "C1", "ts": "1.2", "sent_at": at} if state == "sent" else {}
        await connection.execute(
            core.outbox.update().where(core.outbox.c.key == key).values(state=state, **where)
        )
    return key


async def texts(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list(await connection.scalars(select(core.outbox.c.text).order_by(core.outbox.c.id)))


async def test_messages_go_but_what_still_says_something(database: Database) -> None:
    old, young = NOW - MESSAGES - DAY, NOW - MESSAGES + DAY
    for number in range(3):
        await message(database, "#a", old, text=f"sent {number}")
    await message(database, "#a", old, "failed", text="failed early")
    await message(database, "#a", old, "failed", text="failed last")
    await message(database, "#a", old, "waiting", text="not sent yet")
    await message(database, "#b", old, text="old")
    await message(database, "#b", young, text="young")
    await delete_expired(database, NOW)
    assert await texts(database) == ["sent 2", "failed last", "not sent yet", "young"]
    async with database.reading() as connection:
        assert await outbox.last_location(connection, "#a") is not None
        assert set(await outbox.read_failing(connection)) == {"#a"}


async def test_an_edit_does_not_take_the_place_of_what_says_where_a_channel_is(database: Database) -> None:
    old = NOW - MESSAGES - DAY
    await message(database, "#a", old, text="post")
    async with database.transaction() as connection:
        edit = OutboxMessage("#a", "told", "edit", is_edit=True)
        await outbox.enqueue_edit(connection, edit, old)
        queued = await outbox.first_unsent(connection, "#a")
        assert queued is not None
        await outbox.mark_sent(connection, queued, None, old)
    await delete_expired(database, NOW)
    assert await texts(database) == ["post"]
    async with database.reading() as connection:
        assert await outbox.last_location(connection, "#a") is not None


async def test_cards_that_are_still_edited_stay(database: Database) -> None:
    card = await message(database, "#a", OLD, text="card")
    notice = await message(database, "#a", OLD, text="notice")
    await message(database, "#a", OLD, text="newest")
    await add(
        database, incidents.incidents, id=1, key="k", marker="m", title="Down", severity="sev1",
        status="resolved", private=False, opened_by="U1", opened_at=OLD, updated_at=OLD, document={},
        version=1,
    )  # fmt: skip
    await add(
        database, incidents.incident_rooms, incident_id=1, kind="incident", attempted=True, card_key=card,
        notice_key=notice,
    )  # fmt: skip
    await delete_expired(database, NOW)
    assert await texts(database) == ["card", "notice", "newest"]
    assert await count(database, incidents.incidents) == 1


async def add_waits(database: Database) -> None:
    asked = {
        "platform": "github", "account": "1", "kind": "deployment", "priority": 1, "services": [],
        "changes": [], "place": {}, "begins": True, "asked_at": OLD, "seen_at": OLD, "next_at": OLD,
        "notes": 0, "failures": 0, "version": 0,
    }  # fmt: skip
    for ended, state in ((OLD, "answered"), (NOW, "gone"), (None, "waiting")):
        await add(database, gate_waits.gate_waits, **asked, key=state, state=state, ended_at=ended)
    for at in (OLD, NOW):
        await add(database, gate_waits.gate_calls, platform="github", account="1", at=at, costs="post")


async def add_webhooks(database: Database) -> None:
    delivery = {"endpoint": "portal", "event_id": "e", "event": "hold.placed", "attempts": 1}
    for number, (state, at) in enumerate((("delivered", OLD), ("pending", OLD), ("failed", NOW))):
        await add(
            database, webhooks.webhook_deliveries, **delivery, state=state, created_at=at, audit_id=number
        )
    for name, removed in (("gone", OLD), ("here", None)):
        endpoint = {"name": name, "cursor": 0, "fingerprint": "", "removed_at": removed}
        await add(database, webhooks.webhook_endpoints, **endpoint)


async def add_services(database: Database) -> None:
    """One that is there, one that left long ago, one some days and one that is still held."""
    for name, gone in (("", None), ("here", None), ("gone", OLD), ("lately", NOW - DAY), ("held", OLD)):
        await add(database, readiness.known_services, service=name, seen_at=OLD, asked=False, gone_at=gone)
        await add(database, readiness.launch_ticks, service=name, item="slo", by="U1", at=OLD)
        await add(database, core.standings, service=name, alerts={})
    held = {"service": "held", "kind": "person", "reason": "x", "by": "U1", "since": OLD}
    await add(database, core.holds, **held)


async def add_events(database: Database) -> None:
    await add(database, core.slos, id=1, service="checkout", name="x", fingerprint="1")
    for name, at in (("1", OLD), ("2", NOW)):
        await add(database, core.event_ids, slo_id=1, id=name, at=at)
        await add(database, replicas.requests, id=name, at=at)
        seen = {"flag": name, "environment": "e", "version": "1", "state": {}, "seen_at": at}
        await add(database, flags.flag_sightings, **seen)


async def add_flags(database: Database) -> None:
    change = {
        "flag": "f", "environment": "e", "state": "done", "cause": "person", "change": {}, "version": "1",
        "before": {}, "after": {}, "by": "U1", "reason": "x", "created_at": OLD,
    }  # fmt: skip
    await add(database, flags.flag_changes, **change, settled_at=OLD)
    await add(database, flags.flag_changes, **change | {"state": "asked"})
    ramp = {
        "flag": "f", "environment": "e", "service": "checkout", "steps": [], "taken": 0, "every": 1.0,
        "guard_burn": 1.0, "guard_watch": 1.0, "state": "done", "before": {}, "version": "1", "by": "U1",
        "reason": "x", "created_at": OLD,
    }  # fmt: skip
    await add(database, flags.flag_ramps, **ramp, ended_at=OLD)
    await add(database, flags.flag_ramps, **ramp)
    revert = {
        "kind": "timer", "flag": "f", "environment": "e", "state": {}, "version": "1", "by": "U1",
        "since": OLD,
    }  # fmt: skip
    await add(database, flags.flag_promises, **revert, ended_at=OLD)
    await add(database, flags.flag_promises, **revert)


async def test_what_is_over_goes_and_what_is_not_stays(database: Database) -> None:
    hold = {"service": "checkout", "kind": "person", "reason": "x", "by": "U1", "since": OLD}
    await add(database, core.holds, **hold, lifted_at=OLD)
    await add(database, core.holds, **hold, lifted_at=NOW - DAY)
    await add(database, core.holds, **hold)
    exemption = {"service": "checkout", "change": "PR-1", "reason": "x", "by": "U1", "since": OLD}
    await add(database, core.exemptions, **exemption, until=OLD)
    await add(database, core.exemptions, **exemption)
    await add(database, core.exemptions, **exemption, used_at=OLD)
    await add(database, core.exemptions, **exemption, used_at=NOW)
    asked = {key: value for key, value in exemption.items() if key != "since"} | {"state": "asked"}
    for at in (OLD, NOW):
        await add(database, exemptions.exemption_requests, **asked, asked_at=at)
    window = {
        "services": [], "labels": {}, "start": "2026-11-27T15:00", "time_zone": "UTC", "minutes": 60,
        "reason": "x", "by": "U1", "planned_at": OLD,
    }  # fmt: skip
    await add(database, freeze_schedules, **window, removed_at=OLD)
    await add(database, freeze_schedules, **window, removed_at=NOW)
    await add(database, freeze_schedules, **window)
    for name, finished in (("1", OLD), ("2", NOW)):
        await add(
            database,
            deployments.begun_changes,
            service="checkout",
            change=name,
            began_at=finished,
            told_by="ci",
        )
        await add(
            database, deployments.deployments, service="checkout", deployment=name, state="succeeded",
            repository="", environment="production", commit="c", ref="", by="ci", url="", started_at=finished,
            finished_at=finished,
        )  # fmt: skip
        await add(database, deployments.deployment_changes, service="checkout", deployment=name, commit="c")
    await add_flags(database)
    await add(database, installations.oauth_states, id="x", expires_at=NOW - DAY)
    for ended in (OLD, NOW, None):
        await add(
            database, threads, subject="burn", channel="#a", opened_at=OLD, touched_at=NOW, ended_at=ended
        )
    await add(database, threads, subject="burn", channel="#a", opened_at=OLD, touched_at=OLD)
    told = {
        "service": "checkout", "slo": "availability", "promise": "x", "horizon_days": 1, "probability": 0.1,
        "low": 0.1, "middle": 0.2, "high": 0.3, "spread": 1.0,
    }  # fmt: skip
    summed_up = {"workspace": "", "scored": 1, "brier": 0.1, "coverage": 1.0, "spread": 1.0}
    for day in (OLD, NOW):
        await add(database, forecasts.forecasts, **told, made_on=day, due_at=day)
        await add(database, forecasts.forecast_scores, **summed_up, day=day)
    adjustment = {
        "service": "checkout", "kind": "exclusion", "counts_as": "dropped", "reason": "x",
        "state": "approved", "asked_by": "U1", "asked_at": OLD,
    }  # fmt: skip
    for end in (OLD, NOW):
        await add(database, adjustments.adjustments, **adjustment, starts_at=end - DAY, ends_at=end)
    task = {
        "kind": "digest", "due_at": OLD, "next_attempt_at": OLD, "payload": {}, "state": "done",
        "created_at": OLD,
    }  # fmt: skip
    webhook_task = task | {"kind": "webhook portal", "key": "1", "ended_at": NOW - MESSAGES - DAY}
    await add(database, tasks.due_tasks, **webhook_task)
    for key, ended in (("1", OLD), ("2", NOW), ("3", None)):
        await add(database, tasks.due_tasks, **task, key=key, ended_at=ended)
        await add(database, digests.digest_pauses, channel=key, by="U1", since=OLD, until=ended)
    absence = {"team": "", "person": "U1", "from_at": OLD - DAY, "set_by": "U1", "set_at": OLD}
    for end in (OLD, NOW):
        await add(database, rotations.rotation_absences, **absence, until_at=end)
    swap = {
        "rotation": "shop", "side": "development", "first_number": 1, "first_person": "U1",
        "later_number": 2, "later_person": "U2", "asked_by": "U2", "asked_of": "U1", "state": "agreed",
    }  # fmt: skip
    for asked_at in (OLD, NOW):
        await add(database, rotations.rotation_swaps, **swap, asked_at=asked_at)
    freeze = {"service": "checkout", "hold_id": 1, "began_at": OLD, "work": []}
    for ended in (OLD, NOW, None):
        await add(database, reviews.freeze_reviews, **freeze, ended_at=ended)
    await add_waits(database)
    await add_webhooks(database)
    await delete_expired(database, NOW)
    await add_services(database)
    await add_events(database)
    await delete_expired(database, NOW)
    left = {table.name: await count(database, table) for table, rule in RULES.items() if rule.expired}
    assert left == {
        "outbox": 0, "threads": 2, "holds": 3, "exemptions": 2, "exemption_requests": 1, "deployments": 1,
        "begun_changes": 1, "freeze_schedules": 2,
        "flag_changes": 1,
        "flag_ramps": 1,
        "flag_promises": 1, "oauth_states": 0, "forecasts": 1, "forecast_scores": 1,
        "adjustments": 1, "deployment_changes": 1, "due_tasks": 2, "digest_pauses": 2,
        "rotation_absences": 1, "rotation_swaps": 1,
        "freeze_reviews": 2, "gate_waits": 2, "gate_calls": 1,
        "webhook_deliveries": 2, "webhook_endpoints": 1,
        "known_services": 3, "launch_ticks": 3, "standings": 4, "event_ids": 1, "requests": 1,
        "flag_sightings": 1, "audit": 0,
    }  # fmt: skip


async def test_the_audit_log_stays_whole(database: Database) -> None:
    for number in range(5):
        async with database.transaction() as connection:
            entry = audit.AuditEntry("U1", "hold.placed", f"{number}", "x", "checkout")
            await audit.record(connection, entry, OLD)
    await delete_expired(database, NOW)
    async with database.reading() as connection:
        verified = await verify_chain(connection)
    assert isinstance(verified, ChainVerified)
    assert verified.rows == 5


async def test_more_than_one_transaction_takes_are_deleted_too(database: Database) -> None:
    rows = [
        {
            "key": f"{number}", "channel": "#a", "event_type": "told", "text": "x", "blocks": [],
            "is_bulk": False, "created_at": OLD, "state": "sent", "attempts": 1,
        }
        for number in range(2_500)
    ]  # fmt: skip
    async with database.transaction() as connection:
        await connection.execute(insert(core.outbox), rows)
    await delete_expired(database, NOW)
    assert await count(database, core.outbox) == 1


SMALL = {
    "digest_pauses", "forecast_scores", "freeze_schedules", "rotation_absences", "rotation_swaps",
    "webhook_endpoints",
}  # fmt: skip
"""Tables of some rows for each person, workspace or channel, which may be read whole."""


async def test_what_expires_is_found_by_indexes(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as database:
        await migrate(database)
        scanned = set()
        for table, rule in RULES.items():
            if rule.expired is not None:
                query = select(*table.primary_key.columns).where(rule.expired(NOW)).limit(1_000)
                if any(step.startswith(f"SCAN {table.name}") for step in await plan(database, query)):
                    scanned.add(table.name)
        searched = select(core.audit.c.id).where(core.audit.c.subject == "checkout in production")
        assert "ix_audit_subject" in " ".join(await plan(database, searched))
        of_flag = select(core.audit).where(begins_with(core.audit.c.subject, "new-ui in "))
        paged = of_flag.where(core.audit.c.id > 7).order_by(core.audit.c.id).limit(200)
        assert "ix_audit_subject" in " ".join(await plan(database, paged))
    assert scanned == SMALL


async def plan(database: Database, query: Select[Any]) -> list[str]:
    dialect = sqlite.dialect()
    sql = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    async with database.reading() as connection:
        return [row.detail for row in await connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]


async def test_no_transaction_deletes_more_than_some_rows(url: str) -> None:
    async with CountingDatabase(url) as opened:
        database = cast("CountingDatabase", opened)
        await migrate(database)
        async with database.transaction() as connection:
            await connection.execute(
                insert(replicas.requests), [{"id": f"{n}", "at": OLD} for n in range(900)]
            )
            await connection.execute(
                insert(core.slos), [{"service": "a", "name": "b", "fingerprint": "c", "seen_at": OLD}]
            )
            many = [{"slo_id": 1, "width": 60, "start": n * 60, "bad": 0, "total": 1} for n in range(900)]
            await connection.execute(insert(core.buckets), many)
            ids = [{"slo_id": 1, "id": f"{n}", "at": OLD} for n in range(900)]
            await connection.execute(insert(core.event_ids), ids)
        await Ledger(database).delete_expired(NOW, timedelta(days=30))
        await delete_expired(database, NOW)
        for table in (replicas.requests, core.slos, core.buckets, core.event_ids):
            assert await count(database, table) == 0
        assert max(database.deleted) == ROWS_AT_ONCE


class CountingDatabase(Database):
    """A database that notes how many rows each statement deleted."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.deleted: list[int] = []
        event.listen(self.engine.sync_engine, "after_cursor_execute", self._note)

    def _note(self, _connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE"):
            self.deleted.append(cursor.rowcount)


async def test_services_that_left_are_remembered_and_may_come_back(database: Database) -> None:
    for name in ("", "a", "b"):
        await add(database, readiness.known_services, service=name, seen_at=OLD, asked=False)
    await note_departed(database, {"a"}, OLD)
    await note_departed(database, {"a"}, OLD + DAY)
    assert await gone(database) == {"": None, "a": None, "b": OLD}
    await note_departed(database, {"b"}, NOW)
    assert await gone(database) == {"": None, "a": NOW, "b": None}


async def gone(database: Database) -> dict[str, datetime | None]:
    columns = readiness.known_services.c
    async with database.reading() as connection:
        rows = await connection.execute(select(columns.service, columns.gone_at))
        return {row.service: row.gone_at for row in rows}


async def test_a_window_that_is_over_for_long_is_deleted(database: Database) -> None:
    window = {
        "services": [], "labels": {}, "time_zone": "Europe/Berlin", "minutes": 60, "reason": "x", "by": "U1",
        "planned_at": OLD,
    }  # fmt: skip
    old, young = f"{OLD - DAY:%Y-%m-%dT%H:%M:%S}", f"{NOW - 300 * DAY:%Y-%m-%dT%H:%M:%S}"
    await add(database, freeze_schedules, **window, start=old, id=1)
    await add(database, freeze_schedules, **window, start=young, id=2)
    await add(database, freeze_schedules, **window, start=old, rule="FREQ=WEEKLY", id=3)
    await add(database, freeze_schedules, **window, start=old, rule="FREQ=WEEKLY;COUNT=2", id=4)
    await add(database, freeze_schedules, **window | {"minutes": 900 * 1_440}, start=old, id=5)
    await add(database, freeze_schedules, **window | {"minutes": 9 * 10**8}, start=old, id=6)
    for after, left in ((timedelta(), {2, 3, 4, 5, 6}), (9 * DAY, {2, 3, 5, 6}), (120 * DAY, {3, 5, 6})):
        await delete_past_windows(database, catalog(service()), NOW + after)
        async with database.reading() as connection:
            assert set(await connection.scalars(select(freeze_schedules.c.id))) == left
