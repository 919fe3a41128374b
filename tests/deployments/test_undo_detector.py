"""What deployments undid is stored as they are recorded, in whatever order, on both stores."""

from collections.abc import Mapping
from datetime import datetime
from itertools import permutations

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments import records
from bot.deployments.change import CarriedChange
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.judgement import LinkMeans
from bot.deployments.undo_detector import DetectedUndo, UndoDetector
from bot.store.database import Database
from bot.store.tables.deployments import deployment_changes, deployments
from tests.support.clock import HOUR, MINUTE, NOW


def deployed(id_: str, commit: str, hours: float, **fields: object) -> Deployment:
    ended = NOW + hours * HOUR
    values: dict[str, object] = {
        "id": id_,
        "environment": "production",
        "commit": commit,
        "by": "U0DANA",
        "state": DeploymentState.SUCCEEDED,
        "started_at": ended - MINUTE,
        "finished_at": ended,
        "is_production": True,
    }
    return Deployment(**(values | fields))  # type: ignore[arg-type]


class Recording:
    """Records deployments of checkout, and what was detected meanwhile."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.told: list[DetectedUndo] = []
        self.detector = UndoDetector(self)

    async def link_undone(self, connection: AsyncConnection, undo: DetectedUndo, now: datetime) -> None:
        del connection, now
        self.told.append(undo)

    async def unlink_undone(
        self, connection: AsyncConnection, service: str, deployment: str, now: datetime
    ) -> None:
        del connection, service, now
        self.told = [undo for undo in self.told if undo.deployment != deployment]

    async def record(self, *told: Deployment, run: str | None = None) -> None:
        async with self.database.transaction() as connection:
            for each in told:
                await records.add(self.database, connection, "checkout", each)
                if run is not None:
                    of = deployments.c.deployment == each.id
                    await connection.execute(update(deployments).where(of).values(run=run))
                await self.detector.examine(connection, "checkout", each.id, NOW, kind=each.kind)

    async def carry(self, id_: str, *titles: str, **told: object) -> None:
        """Store what a deployment carried, and look at it again."""
        async with self.database.transaction() as connection:
            for number, title in enumerate(titles):
                values = {
                    "service": "checkout",
                    "deployment": id_,
                    "commit": f"{id_}{number}",
                    "title": title,
                }
                await connection.execute(insert(deployment_changes).values(values))
            await self.detector.examine(connection, "checkout", id_, NOW, **told)  # type: ignore[arg-type]

    async def rows(self) -> Mapping[str, tuple[str | None, str | None]]:
        """Return what each deployment undid, and why it was rework."""
        columns = deployments.c
        async with self.database.reading() as connection:
            rows = await connection.execute(
                select(columns.deployment, columns.undoes, columns.rework).order_by(columns.finished_at)
            )
            return {row.deployment: (row.undoes, row.rework) for row in rows}


async def test_a_rollback_is_stored_and_told_once_in_whatever_order_it_is_recorded(
    database: Database,
) -> None:
    told = [
        deployed("1", "aaaaaaaaa", 1),
        deployed("2", "bbbbbbbbb", 2),
        deployed("3", "aaaaaaaaa", 3),
        deployed("4", "bbbbbbbbb", 4),
    ]
    for number, order in enumerate(permutations(told)):
        recording = Recording(database)
        await recording.record(*order, order[0])
        assert await recording.rows() == {
            "1": (None, None),
            "2": (None, None),
            "3": ("2", "it rolled back bbbbbbb"),
            "4": ("3", None),
        }, number
        assert [(undo.deployment, undo.means) for undo in recording.told] == [("2", LinkMeans.ROLLBACK)]
        async with database.transaction() as connection:
            await connection.execute(deployments.delete())


async def test_other_environments_failures_and_jobs_of_the_same_run_undo_nothing(
    database: Database,
) -> None:
    recording = Recording(database)
    await recording.record(deployed("1", "a", 1), deployed("2", "b", 2))
    await recording.record(
        deployed("eu", "a", 3, environment="prod-eu"),
        deployed("staging", "a", 3, environment="staging", is_production=False),
        deployed("broken", "a", 3, state=DeploymentState.FAILED),
    )
    await recording.record(deployed("job 1", "c", 4), deployed("job 2", "c", 4.1), run="7")

    assert {undone for undone, _ in (await recording.rows()).values()} == {None}


async def test_all_jobs_of_a_rollback_undo_the_same(database: Database) -> None:
    recording = Recording(database)
    await recording.record(deployed("1", "a", 1), deployed("2", "b", 2))
    await recording.record(deployed("job 1", "a", 3), deployed("job 2", "a", 3.1), run="7")

    rows = await recording.rows()
    assert rows["job 1"][0] == "2"
    assert rows["job 2"][0] == "2"


async def test_a_reverted_change_undoes_the_deployment_that_carried_it(database: Database) -> None:
    recording = Recording(database)
    await recording.record(deployed("1", "a", 1), deployed("2", "b", 2), deployed("3", "c", 3))
    await recording.carry("1", "Add cache (#12)")
    await recording.carry("2", "Add shelves")
    await recording.carry("3", 'Revert "Add cache" (#14)', "Add doors")

    assert await recording.rows() == {
        "1": (None, None),
        "2": (None, None),
        "3": ("1", "its change takes back “Add cache”"),
    }
    assert [(undo.deployment, undo.means) for undo in recording.told] == [("1", LinkMeans.REVERT)]

    await recording.record(deployed("4", "d", 4))
    await recording.carry("4", 'Reapply "Add cache"')
    assert (await recording.rows())["4"] == ("3", None)
    assert len(recording.told) == 1


async def test_a_revert_is_found_when_what_it_reverts_becomes_known_later(database: Database) -> None:
    recording = Recording(database)
    await recording.record(deployed("1", "a", 1), deployed("2", "b", 2))
    await recording.carry("2", "This reverts commit 10.", 'Revert "Add cache"')
    assert (await recording.rows())["2"] == (None, "its change takes back “Add cache”")

    await recording.carry("1", "Add cache")

    assert (await recording.rows())["2"][0] == "1"


async def test_a_revert_of_what_never_ran_or_ran_long_ago_undoes_nothing(database: Database) -> None:
    recording = Recording(database)
    await recording.record(deployed("1", "a", -31 * 24), deployed("2", "b", 2))
    await recording.carry("1", "Add cache")
    await recording.carry("2", 'Revert "Add cache"', "Add shelves", 'Revert "Add shelves"')

    assert (await recording.rows())["2"][0] is None
    assert recording.told == []


async def test_what_the_forge_says_is_behind_stays_undone(database: Database) -> None:
    recording = Recording(database)
    await recording.record(deployed("1", "a", 1), deployed("2", "c", 2), deployed("3", "b", 3))
    await recording.carry("3", is_behind=True)
    await recording.carry("1", "Add cache")

    assert (await recording.rows())["3"] == ("2", "it rolled back c")
    assert [undo.undone_at - undo.started_at for undo in recording.told] == [HOUR + MINUTE]


async def test_a_declared_hotfix_stays_rework(database: Database) -> None:
    recording = Recording(database)
    await recording.record(deployed("1", "a", 1, kind="hotfix"), deployed("2", "b", 2, ref="hotfix/login"))
    await recording.carry("1", "Add cache")
    await recording.carry("2", "Add login", labels=["Hotfix"])

    assert await recording.rows() == {
        "1": (None, "it was declared as a hotfix"),
        "2": (None, "it came from the branch hotfix/login"),
    }


async def test_a_hundred_deployments_are_looked_back_on(database: Database) -> None:
    recording = Recording(database)
    await recording.record(*(deployed(str(number), f"commit {number}", number / 12) for number in range(103)))
    await recording.record(deployed("near", "commit 50", 100))

    assert (await recording.rows())["near"][0] == "102"


async def test_a_change_that_names_the_pull_request_it_reverts_undoes_its_deployment(
    database: Database,
) -> None:
    recording = Recording(database)
    await recording.record(deployed("1", "a", 1), deployed("2", "b", 2), deployed("3", "c", 3))
    async with database.transaction() as connection:
        first = CarriedChange("a1", "Add cache", change="PR-12")
        await records.add_changes(database, connection, "checkout", "1", [first])
        back = CarriedChange("c1", "Take the cache out", reverts="PR-12")
        await records.add_changes(database, connection, "checkout", "3", [back])
        await recording.detector.examine(connection, "checkout", "3", NOW)

    assert (await recording.rows())["3"] == ("1", "its change “Take the cache out” is a revert")
