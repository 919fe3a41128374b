"""Which deployment caused an incident: by a person's word, by rollbacks and reverts; else it is suspected."""

from datetime import datetime, timedelta

import pytest

from bot.catalog.current import CurrentCatalog
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.history.incident_links import read_incidents
from bot.deployments.history.reader import read_page
from bot.deployments.judgement import NO_DEPLOYMENT, LinkMeans
from bot.deployments.recorder import DeploymentRecorder
from bot.deployments.undo_detector import UndoDetector
from bot.freezes.exemptions.proven_kinds import ProvenKinds
from bot.incidents.causes.cause import IncidentCauses
from bot.incidents.causes.linking import CauseLinks, UndoneFlag
from bot.incidents.duplicates.merging import Merging
from bot.incidents.incident import IllegalChangeError, IncidentChange, Severity, Status
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.records import incidents as records
from bot.incidents.timeline import EntryKind
from bot.slack.announcements.deployments import DeploymentAnnouncer
from bot.slack.announcements.proven_kinds import proven_kind_messages
from bot.slack.incidents.messages import IncidentMessages
from bot.store import audit
from bot.store.database import Database
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.incidents import shop

A, B = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


class Shop:
    """Records deployments and incidents of a shop."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.catalog = shop()
        current = CurrentCatalog(self.catalog)
        self.lifecycle = IncidentLifecycle(database, current)
        self.merging = Merging(database, self.lifecycle, IncidentMessages(current))
        self.causes: CauseLinks = self.lifecycle.causes
        kinds = ProvenKinds(database, proven_kind_messages)
        detector = UndoDetector(self.causes)
        changes = ChangesPlanner(database, current, can_ask=False)
        self.recorder = DeploymentRecorder(
            database, current, DeploymentAnnouncer(current), kinds, detector, changes=changes
        )

    async def deploy(self, id_: str, commit: str, hours: float, *services: str) -> None:
        ended = NOW + hours * HOUR
        deployment = Deployment(
            id=id_,
            environment="production",
            commit=commit,
            by="octocat",
            state=DeploymentState.SUCCEEDED,
            started_at=ended - MINUTE,
            finished_at=ended,
            is_production=True,
        )
        of = [self.catalog.services[name] for name in services or ("checkout",)]
        await self.recorder.record(deployment, of, "ci", NOW + 10 * HOUR)

    async def open(self, hours: float, *services: str, key: str = "k", at: float | None = None) -> int:
        started_at, now = NOW + hours * HOUR, NOW + (hours if at is None else at) * HOUR
        opening = NewIncident(
            key, "Checkout 500s", Severity.SEV3, services or ("checkout",), "U0DANA", started_at=started_at
        )
        return (await self.lifecycle.open(opening, now)).incident.id

    async def of(self, id_: int) -> IncidentCauses:
        async with self.database.reading() as connection:
            return await self.causes.of(connection, await records.read(connection, id_))

    async def confirmed(self, id_: int) -> list[tuple[str, LinkMeans | None, str | None]]:
        found = (await self.of(id_)).confirmed
        return [(each.deployment.id, each.means, each.linked_by) for each in found]

    async def suspected(self, id_: int) -> list[str]:
        return [each.deployment.id for each in (await self.of(id_)).suspected]

    async def listed(self) -> list[tuple[int, ...]]:
        """Return the incidents of each deployment of checkout, as the list of deployments has them."""
        async with self.database.reading() as connection:
            page, _ = await read_page(
                connection, service="checkout", since=None, until=None, after=None, limit=10
            )
            caused = await read_incidents(connection, page)
        return [caused[each.last.unit] for each in page]

    async def timeline(self, id_: int) -> list[tuple[str, str]]:
        async with self.database.reading() as connection:
            entries = await records.read_entries(connection, id_)
        return [(entry.text, entry.by) for entry in entries if entry.kind is EntryKind.CAUSE]

    async def audited(self) -> list[str]:
        async with self.database.reading() as connection:
            rows = await audit.read(connection)
        named = [row.entry.action for row in rows]
        return [action for action in named if "caus" in action or "cleared" in action or "undone" in action]


@pytest.fixture
def the_shop(database: Database) -> Shop:
    return Shop(database)


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


async def test_the_last_deployment_before_it_is_only_suspected(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    await the_shop.deploy("2", B, 2)
    id_ = await the_shop.open(2.5)

    assert await the_shop.suspected(id_) == ["2"]
    assert await the_shop.confirmed(id_) == []
    assert await the_shop.suspected(await the_shop.open(0.5, key="before all")) == []
    assert await the_shop.suspected(await the_shop.open(40, key="long after")) == []


async def test_a_person_says_which_deployment_it_was_and_may_change_it(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    await the_shop.deploy("2", B, 2)
    id_ = await the_shop.open(2.5)

    assert await the_shop.causes.blame(id_, "1", by="U0DANA", now=at(3))
    assert not await the_shop.causes.blame(id_, "1", by="U0SAM", now=at(3))
    assert await the_shop.confirmed(id_) == [("1", LinkMeans.PERSON, "U0DANA")]
    assert await the_shop.suspected(id_) == []

    assert await the_shop.causes.blame(id_, "2", by="U0SAM", now=at(4))
    assert await the_shop.confirmed(id_) == [("2", LinkMeans.PERSON, "U0SAM")]

    assert await the_shop.causes.blame(id_, NO_DEPLOYMENT, by="U0SAM", now=at(5))
    assert await the_shop.of(id_) == IncidentCauses(cleared_by="U0SAM")

    assert await the_shop.causes.forget(id_, by="U0DANA", now=at(6))
    assert not await the_shop.causes.forget(id_, by="U0DANA", now=at(6))
    assert await the_shop.suspected(id_) == ["2"]
    assert await the_shop.timeline(id_) == [
        ("caused by aaaaaaa to production (checkout)", "U0DANA"),
        ("caused by bbbbbbb to production (checkout)", "U0SAM"),
        ("no deployment caused it", "U0SAM"),
        ("what caused it is open again", "U0DANA"),
    ]
    assert await the_shop.audited() == [
        "incident.caused_by",
        "incident.caused_by",
        "incident.cleared_deployments",
        "incident.cause_taken_back",
    ]


async def test_a_deployment_of_several_services_is_one_cause(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1, "checkout", "search")
    id_ = await the_shop.open(2, "checkout", "search")

    await the_shop.causes.blame(id_, "1", by="U0DANA", now=at(3))

    (cause,) = (await the_shop.of(id_)).confirmed
    assert cause.services == ("checkout", "search")


async def test_deployments_of_other_services_and_unknown_ones_are_refused(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1, "search")
    id_ = await the_shop.open(2)

    for unknown in ("1", "99"):
        with pytest.raises(IllegalChangeError, match="no such deployment"):
            await the_shop.causes.blame(id_, unknown, by="U0DANA", now=at(3))


async def test_a_rollback_while_it_lasts_says_what_caused_it(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    await the_shop.deploy("2", B, 2)
    earlier = await the_shop.open(1.5, key="before the deployment")
    id_ = await the_shop.open(2.5)

    await the_shop.deploy("3", A, 3)

    assert await the_shop.confirmed(id_) == [("2", LinkMeans.ROLLBACK, "governor")]
    assert await the_shop.timeline(id_) == [("caused by bbbbbbb: it was rolled back", "governor")]
    assert await the_shop.audited() == ["deployment.undone", "incident.cause_found"]
    assert await the_shop.confirmed(earlier) == []

    await the_shop.deploy("4", B, 4)
    assert await the_shop.confirmed(id_) == [("2", LinkMeans.ROLLBACK, "governor")]


async def test_an_incident_that_is_opened_after_the_rollback_is_linked_too(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    await the_shop.deploy("2", B, 2)
    await the_shop.deploy("3", A, 3)
    await the_shop.deploy("4", B, 4)

    id_ = await the_shop.open(2.5, at=5)
    after = await the_shop.open(3.5, key="after the rollback")

    assert await the_shop.confirmed(id_) == [("2", LinkMeans.ROLLBACK, "governor")]
    assert await the_shop.confirmed(after) == []
    await the_shop.lifecycle.change(after, IncidentChange(started_at=at(2.7)), by="U0DANA", now=at(6))
    assert await the_shop.confirmed(after) == [("2", LinkMeans.ROLLBACK, "governor")]


async def test_a_rollback_a_day_after_it_ended_is_still_for_it_and_later_is_not(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    await the_shop.deploy("2", B, 2)
    near, far = await the_shop.open(2.5), await the_shop.open(2.5, key="far")
    await the_shop.lifecycle.change(
        near, IncidentChange(status=Status.RESOLVED, ended_at=at(5)), by="U0DANA", now=at(6)
    )
    await the_shop.lifecycle.change(
        far, IncidentChange(status=Status.RESOLVED, ended_at=at(3)), by="U0DANA", now=at(6)
    )

    await the_shop.deploy("3", A, 28)

    assert await the_shop.confirmed(near) == [("2", LinkMeans.ROLLBACK, "governor")]
    assert await the_shop.confirmed(far) == []


async def test_what_a_person_said_stands_against_what_is_found_later(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    await the_shop.deploy("2", B, 2)
    cleared, blamed = await the_shop.open(2.5), await the_shop.open(2.6, key="blamed")
    forgotten = await the_shop.open(2.7, key="forgotten")
    await the_shop.causes.blame(cleared, NO_DEPLOYMENT, by="U0DANA", now=at(2.8))
    await the_shop.causes.blame(blamed, "1", by="U0DANA", now=at(2.8))
    await the_shop.causes.blame(forgotten, "2", by="U0DANA", now=at(2.8))
    await the_shop.causes.forget(forgotten, by="U0DANA", now=at(2.9))

    await the_shop.deploy("3", A, 3)

    assert (await the_shop.of(cleared)).cleared_by == "U0DANA"
    assert await the_shop.confirmed(blamed) == [("1", LinkMeans.PERSON, "U0DANA")]
    assert await the_shop.confirmed(forgotten) == []


async def test_a_link_goes_when_deployments_that_were_reported_late_show_no_rollback(
    the_shop: Shop,
) -> None:
    # It looks like a rollback until the first deployment of that commit is known to be newer.
    await the_shop.deploy("2", B, 2)
    id_ = await the_shop.open(2.2)
    await the_shop.deploy("3", A, 3)
    late = await the_shop.open(3.2, key="late")
    await the_shop.deploy("4", B, 4)
    assert await the_shop.confirmed(late) == [("3", LinkMeans.ROLLBACK, "governor")]

    await the_shop.deploy("1", A, 1)

    assert await the_shop.confirmed(late) == []
    assert await the_shop.confirmed(id_) == [("2", LinkMeans.ROLLBACK, "governor")]


async def test_a_merged_incidents_cause_is_the_others(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    target = await the_shop.open(2)
    duplicate = await the_shop.open(2.1, key="duplicate")
    await the_shop.causes.blame(duplicate, "1", by="U0DANA", now=at(3))

    await the_shop.merging.merge(duplicate, target, by="U0SAM", now=at(4))

    assert await the_shop.confirmed(target) == [("1", LinkMeans.PERSON, "U0DANA")]
    assert await the_shop.of(duplicate) == IncidentCauses()
    assert await the_shop.listed() == [(target,)]
    with pytest.raises(IllegalChangeError, match=f"merged into incident {target}"):
        await the_shop.causes.blame(duplicate, "1", by="U0DANA", now=at(5))


async def test_a_false_alarm_has_no_cause(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    id_ = await the_shop.open(2)
    await the_shop.causes.blame(id_, "1", by="U0DANA", now=at(3))
    assert await the_shop.listed() == [(id_,)]
    await the_shop.lifecycle.cancel(id_, "a test", by="U0DANA", now=at(4))
    assert await the_shop.listed() == [()]

    assert await the_shop.of(id_) == IncidentCauses()
    with pytest.raises(IllegalChangeError, match="reopen it first"):
        await the_shop.causes.forget(id_, by="U0DANA", now=at(5))
    await the_shop.lifecycle.reopen(id_, by="U0DANA", now=at(6))
    assert await the_shop.confirmed(id_) == [("1", LinkMeans.PERSON, "U0DANA")]


async def test_a_flag_that_is_undone_while_it_lasts_explains_it(the_shop: Shop) -> None:
    await the_shop.deploy("1", A, 1)
    id_, earlier = await the_shop.open(2), await the_shop.open(0.5, key="before the flag")
    undone = UndoneFlag(
        "checkout", "new-checkout in production", (at(2.2), at(1.5)), LinkMeans.GUARD, "governor"
    )

    for _ in range(2):
        async with the_shop.database.transaction() as connection:
            await the_shop.causes.link_flag(connection, undone, at(2.5))

    causes = await the_shop.of(id_)
    assert [(flag.name, flag.means) for flag in causes.flags] == [(undone.flag, LinkMeans.GUARD)]
    assert (causes.confirmed, causes.suspected) == ((), ())
    assert (await the_shop.of(earlier)).flags == ()
    assert await the_shop.timeline(id_) == [
        ("caused by the flag new-checkout in production: its guard rolled it back", "governor")
    ]
