"""Three years of a small company, on a clock that moves: no table grows for ever but those that are to.

What happens goes through the code of the bot wherever that needs no other system; rows of the rest are as it
writes them. Retention runs as the bot runs it.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, insert, select, text, update

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.budgets.source import Bucket
from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.window import Span
from bot.deployments import records as deployment_records
from bot.deployments.change import CarriedChange
from bot.freezes.calendar.retention import delete_past_windows
from bot.freezes.hold_registry import HoldRegistry
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.policy.templates.label_values import DiscoveryRequest, KnownValue, LabelKey, differences, learn
from bot.store import idempotency, label_values, outbox
from bot.store import threads as thread_rows
from bot.store.database import Database
from bot.store.migrate import migrate
from bot.store.outbox import OutboxMessage
from bot.store.retention.deletion import delete_expired
from bot.store.retention.departed_services import note_departed
from bot.store.retention.rules import RULES
from bot.store.tables import (
    adjustments,
    core,
    deployments,
    exemptions,
    flags,
    forecasts,
    gate_waits,
    installations,
    readiness,
    reviews,
    rotations,
    webhooks,
)
from bot.store.tables.freeze_schedules import freeze_schedules
from bot.store.tables.tasks import due_tasks
from bot.tasks import records as tasks
from bot.tasks.task import PlannedTask
from bot.teams.readiness import records as readiness_records
from bot.webhooks import records as deliveries
from bot.webhooks.delivery import WebhookState
from bot.webhooks.events import read_event
from tests.deployments.test_records import deployed
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.table_rows import filled
from tests.support.values import catalog, service, slo

STEP = 20 * DAY
STEPS = 60
"""Three years: long enough that what is kept for 400 days has gone more than once."""

FOR_GOOD = {
    "audit": 4, "incidents": 1, "incident_services": 1, "incident_entries": 3, "incident_rooms": 1,
    "incident_impacts": 1, "incident_steps": 8, "rotation_turns": 1,
}  # fmt: skip
"""Tables that grow for good, and by how many rows in each step of the simulation."""

NOT_SIMULATED = {
    "api_tokens", "audit_archives", "conditions", "facilitator_turns", "flags", "incident_alerts",
    "incident_reminders", "incident_roles", "actions", "deployment_incidents",
    "installations", "leases", "personal_preferences", "replicas", "rotation_calendars", "rotation_periods",
    "welcomed_people", "digest_pauses",
}  # fmt: skip
"""Tables with a row for each of what people set up, and those of incidents that grow as the others do."""


class Company:
    """Two services that stay, and one of a tenant that comes with each step and leaves after two."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        self.step = 0
        self.current = CurrentCatalog(self.policies())
        self.holds = HoldRegistry(database, lambda _: [])
        self.lifecycle = IncidentLifecycle(database, self.current)
        self.known: tuple[KnownValue, ...] = ()

    def policies(self) -> Catalog:
        names = ["checkout", "search", *(f"tenant-{at}" for at in range(max(0, self.step - 2), self.step))]
        return catalog(*(service(name, slos=(slo(service=name),)) for name in names))

    async def lives(self) -> None:
        """Let what happens in twenty days happen, then run retention."""
        self.step += 1
        self.now = NOW + self.step * STEP
        self.current.set(self.policies())
        await self.discover()
        await self.count()
        await self.freeze()
        await self.tell()
        await self.deploy()
        await self.write_the_rest()
        opening = NewIncident(f"inc {self.step}", "It is slow", Severity.SEV3, ("search",), "U0DANA")
        opened = await self.lifecycle.open(opening, self.now)
        await self.lifecycle.cancel(opened.incident.id, "a false alarm", by="U0DANA", now=self.now)
        await self.deliver()
        await self.settle()
        await self.retain()

    async def retain(self) -> None:
        """Run retention as the bot does once an hour."""
        await self.ledger.delete_expired(self.now, 30 * DAY)
        await delete_past_windows(self.database, self.current.catalog, self.now)
        await note_departed(self.database, self.current.catalog.services.keys(), self.now)
        await delete_expired(self.database, self.now)

    async def discover(self) -> None:
        """A tenant comes, and one that was there leaves: a value of a label, a service, a state."""
        key = LabelKey("tenants", "tenant")
        request = DiscoveryRequest(key, "prometheus")
        found = learn(self.known, [str(self.step)], request, self.now)
        changed, removed = differences(self.known, found)
        rows = [
            label_values.LabelValueRow(
                "tenants", "tenant", each.value, each.question, each.since, each.gone_at
            )
            for each in changed
        ]
        await label_values.write(self.database, "tenants", "tenant", rows, removed)
        self.known = found
        async with self.database.transaction() as connection:
            for name in self.current.catalog.services:
                await readiness_records.remember(self.database, connection, name, self.now, is_asked=False)
                for table, values in (
                    (core.standings, {"alerts": {}}),
                    (readiness.launch_ticks, {"item": "slo", "by": "U1", "at": self.now}),
                ):
                    row = self.database.insert(table).values(service=name, **values)
                    await connection.execute(row.on_conflict_do_nothing())

    async def count(self) -> None:
        """Read an hour from Prometheus for each service, and take a pushed event with an id."""
        # The catalog of a process changes, so its ledger knows only the SLOs that it has now.
        self.ledger = Ledger(self.database)
        span = Span(self.now - HOUR, self.now)
        buckets = [Bucket(span.start + at * MINUTE, MINUTE, 1, 100) for at in range(60)]
        slos = self.current.catalog.slos
        await self.ledger.write([(each, buckets) for each in slos], span, MINUTE, self.now)
        await self.ledger.push([PushedEvent(slos[0], 1, 0, self.now, f"order {self.step}")], self.now)

    async def freeze(self) -> None:
        """A person freezes a service and lifts it."""
        checkout = self.current.catalog.services["checkout"]
        await self.holds.place(
            checkout,
            by="U1",
            reason="peak sale",
            until=self.now + DAY,
            request=f"freeze {self.step}",
            now=self.now,
        )
        await self.holds.lift(checkout, by="U1", reason="", now=self.now + HOUR, request=f"lift {self.step}")

    async def tell(self) -> None:
        """A digest and a burn alert are told; the request that asked is remembered."""
        async with self.database.transaction() as connection:
            await idempotency.is_first(self.database, connection, f"request {self.step}", self.now)
            messages = [
                OutboxMessage("#checkout", "digest", "the week"),
                OutboxMessage("#checkout", "burning", "it burns", thread=f"burn {self.step}"),
                OutboxMessage("#gone", "digest", "nobody reads it"),
            ]
            await outbox.enqueue(connection, messages, self.now)
            if self.step % 2:
                # The others' services leave before their thread ends.
                await thread_rows.end_threads(connection, f"burn {self.step}", self.now)
            waiting = core.outbox.c.state == "waiting"
            is_gone = core.outbox.c.channel == "#gone"
            sent = {"state": "sent", "sent_at": self.now, "channel_id": "C1", "ts": "1.2"}
            await connection.execute(update(core.outbox).where(waiting, ~is_gone).values(sent))
            await connection.execute(update(core.outbox).where(waiting, is_gone).values(state="failed"))

    async def deploy(self) -> None:
        """A deployment with two commits."""
        changes = tuple(CarriedChange(f"{self.step}-{number}") for number in range(2))
        async with self.database.transaction() as connection:
            told = deployed(f"c{self.step}", self.now, changes=changes)
            await deployment_records.add(self.database, connection, "checkout", told)

    async def deliver(self) -> None:
        """Deliver events in two steps out of five: in between, all that is known of deliveries expires."""
        async with self.database.transaction() as connection:
            await deliveries.follow_endpoint(self.database, connection, "portal", "f", self.now)
            await deliveries.follow_endpoint(self.database, connection, f"old {self.step}", "f", self.now)
            await deliveries.remove_missing(connection, ["portal"], self.now)
            if self.step % 5 < 2:
                endpoint = await deliveries.read_endpoint(connection, "portal")
                newest = await connection.scalar(select(func.max(core.audit.c.id)))
                row = await read_event(connection, int(newest or 0))
                assert row is not None
                await deliveries.add(self.database, connection, endpoint, row, self.now)
                due = await tasks.read_pending(connection, deliveries.kind_of("portal"))
                assert len(due) == 1, "a number that is used again has its own task"
                done = {"state": WebhookState.DELIVERED.value}
                await connection.execute(update(webhooks.webhook_deliveries).values(done))

    async def settle(self) -> None:
        """Plan a digest, and do all tasks."""
        async with self.database.transaction() as connection:
            await tasks.plan(
                self.database, connection, PlannedTask("digest", f"#a {self.step}", self.now), self.now
            )
            await tasks.plan(
                self.database, connection, PlannedTask("page opsgenie", f"{self.step}", self.now), self.now
            )
            done = {"state": "done", "ended_at": self.now}
            await connection.execute(update(due_tasks).where(due_tasks.c.state == "pending").values(done))

    async def write_the_rest(self) -> None:
        """Write what needs another system: each row as it stands once it is over."""
        at, name = self.now, f"{self.step}"
        over: Mapping[Table, dict[str, Any]] = {
            core.exemptions: {"until": at, "request": name},
            exemptions.exemption_requests: {"asked_at": at, "request": name},
            deployments.begun_changes: {"change": name, "began_at": at},
            gate_waits.gate_waits: {"key": name, "state": "answered", "ended_at": at},
            gate_waits.gate_calls: {"at": at},
            freeze_schedules: {"start": f"{at:%Y-%m-%dT%H:%M:%S}", "minutes": 60, "time_zone": "UTC",
                               "services": ["checkout"], "labels": {}, "request": name},
            flags.flag_changes: {"state": "done", "settled_at": at, "request": name},
            flags.flag_ramps: {"state": "done", "ended_at": at, "request": name},
            flags.flag_promises: {"ended_at": at},
            flags.flag_sightings: {"flag": name, "seen_at": at},
            forecasts.forecasts: {"service": "checkout", "made_on": at, "due_at": at},
            forecasts.forecast_scores: {"day": at},
            adjustments.adjustments: {"ends_at": at, "request": name},
            installations.oauth_states: {"id": name, "expires_at": at},
            rotations.rotation_absences: {"until_at": at},
            rotations.rotation_swaps: {"asked_at": at},
            rotations.rotation_turns: {"number": self.step},
            reviews.freeze_reviews: {"hold_id": self.step, "ended_at": at},
        }  # fmt: skip
        async with self.database.transaction() as connection:
            for table, values in over.items():
                await connection.execute(insert(table).values(filled(table, **values)))
            used = filled(core.exemptions, request=f"used {name}", used_at=at)
            await connection.execute(insert(core.exemptions).values(used))

    async def rows(self) -> dict[str, int]:
        """Return how many rows each table has."""
        async with self.database.reading() as connection:
            return {
                table.name: int(await connection.scalar(select(func.count()).select_from(table)) or 0)
                for table in RULES
            }


async def test_after_years_no_table_is_bigger_than_before_but_those_kept_for_good(tmp_path: Path) -> None:
    seen: dict[str, list[int]] = defaultdict(list)
    pages = []
    # What each rule deletes is tested on both databases: this takes long, so on one.
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as database:
        await migrate(database)
        company = Company(database)
        for _ in range(STEPS):
            await company.lives()
            for name, rows in (await company.rows()).items():
                seen[name].append(rows)
            async with database.reading() as connection:
                pages.append(int(await connection.scalar(text("PRAGMA page_count")) or 0))
    assert {name for name, rows in seen.items() if not any(rows)} == NOT_SIMULATED
    # Everything that expires has expired by now at least once; the same numbers of steps are compared.
    begins, middle = STEPS // 2, 3 * STEPS // 4
    earlier = {name: max(rows[begins - 10 : middle]) for name, rows in seen.items()}
    later = {name: max(rows[middle:]) for name, rows in seen.items()}
    steps = STEPS - middle
    grown = {name: (later[name] - earlier[name]) / steps for name in seen if later[name] > earlier[name]}
    assert grown == FOR_GOOD
    # What is free in the file is used again: it grows only with what is kept for good.
    assert max(pages[middle:]) - max(pages[:middle]) < pages[middle] // 10
