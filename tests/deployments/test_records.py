"""Which production deployment of a service came last before something happened, on both stores."""

from datetime import datetime

from bot.deployments import records
from bot.deployments.deployment import Deployment, DeploymentState
from bot.freezes.transition import PrecedingDeployment
from bot.store.database import Database
from tests.support.clock import MINUTE, NOW

HASH = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


def deployed(commit: str, finished_at: datetime, **fields: object) -> Deployment:
    values: dict[str, object] = {
        "id": f"api {commit}",
        "environment": "production",
        "commit": commit,
        "by": "U0DANA",
        "state": DeploymentState.SUCCEEDED,
        "started_at": finished_at - MINUTE,
        "finished_at": finished_at,
        "is_production": True,
    }
    return Deployment(**(values | fields))  # type: ignore[arg-type]


async def last_of(database: Database, *told: Deployment, service: str = "checkout") -> dict[str, str]:
    """Store deployments of checkout, and one of search; return the names of the last ones by service."""
    async with database.transaction() as connection:
        for each in told:
            await records.add(database, connection, service, each)
        await records.add(database, connection, "search", deployed("search-1", NOW - 30 * MINUTE))
        found = await records.last_to_production(connection, ["checkout", "search", "cart"], NOW)
    return {name: deployment.name for name, deployment in found.items()}


async def test_the_last_one_that_had_ended_counts_for_each_service(database: Database) -> None:
    told = [
        deployed("1.4.1", NOW - 40 * MINUTE),
        deployed("1.4.2", NOW - 12 * MINUTE),
        deployed("1.4.3", NOW + MINUTE),
    ]
    assert await last_of(database, *told) == {"checkout": "1.4.2", "search": "search-1"}


async def test_one_that_ended_at_that_very_moment_counts(database: Database) -> None:
    assert (await last_of(database, deployed("1.4.2", NOW)))["checkout"] == "1.4.2"


async def test_other_environments_do_not_count_unless_they_are_said_to_be_production(
    database: Database,
) -> None:
    told = [
        deployed("1.4.1", NOW - 40 * MINUTE, environment="prod-eu"),
        deployed("1.4.2", NOW - 12 * MINUTE, environment="staging", is_production=False),
        deployed("1.4.3", NOW - 11 * MINUTE, environment="production", is_production=False),
    ]
    assert (await last_of(database, *told))["checkout"] == "1.4.1"


async def test_one_that_failed_counts_and_says_so(database: Database) -> None:
    failed = deployed(
        HASH, NOW - MINUTE, state=DeploymentState.FAILED, environment="prod-eu", url="https://ci.example/42"
    )
    async with database.transaction() as connection:
        await records.add(database, connection, "checkout", failed)
        found = await records.last_to_production(connection, ["checkout"], NOW)
    assert found["checkout"] == PrecedingDeployment(
        "6113728", "U0DANA", NOW - MINUTE, "prod-eu", "https://ci.example/42", has_failed=True
    )


async def test_what_is_stored_is_read_again(database: Database) -> None:
    told = deployed(HASH, NOW - MINUTE, environment="prod-eu")
    async with database.transaction() as connection:
        await records.add(database, connection, "checkout", told)
        found = await records.read(connection, ["checkout"], NOW - 2 * MINUTE, NOW)
    assert found == [(told, ["checkout"])]


async def test_ids_that_differ_in_capital_letters_are_of_other_deployments(database: Database) -> None:
    own, other = "argocd shop/Cart 1", "argocd shop/cart 2"
    async with database.transaction() as connection:
        for id_, at in (own, NOW - MINUTE), (other, NOW):
            await records.add(database, connection, "checkout", deployed("1.4.1", at, id=id_))
        asked = (connection, "checkout", "production")
        last = [
            await records.last_with_prefix(*asked, prefix)
            for prefix in ("argocd shop/Cart ", "argocd shop/cart ")
        ]
    assert [each.id for each in last if each] == [own, other]
