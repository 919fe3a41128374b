"""The holds of incidents go with their incident, whatever the policies say of the service by then."""

from sqlalchemy import update

from bot.app.hold_readiness import HoldReadiness
from bot.freezes.hold import HoldKind
from bot.incidents.incident import IncidentChange, Severity, Status
from bot.incidents.records.channels import ChannelKind
from bot.incidents.records.steps import StepName, plan
from bot.store.tables.incidents import incidents
from tests.support.clock import MINUTE
from tests.support.incidents import IncidentsSetup
from tests.support.values import catalog, service

WITHOUT_CHECKOUT = catalog(service("search"))


async def kinds(setup: IncidentsSetup) -> list[HoldKind]:
    return [hold.kind for hold in await setup.hold_registry.holds(setup.clock.now(), "checkout")]


async def resolve(setup: IncidentsSetup, id_: int) -> None:
    change = IncidentChange(status=Status.RESOLVED)
    await setup.incidents.lifecycle.change(id_, change, by="U0SAM", now=setup.clock.now())


async def test_a_hold_is_lifted_while_the_service_is_absent_from_the_policies(
    incidents_setup: IncidentsSetup,
) -> None:
    view = await incidents_setup.opened(severity=Severity.SEV1)
    assert await kinds(incidents_setup) == [HoldKind.INCIDENT]
    incidents_setup.current.set(WITHOUT_CHECKOUT)
    await resolve(incidents_setup, view.incident.id)
    await incidents_setup.complete(view.incident.id)
    assert ("lift checkout", "done", None) in await incidents_setup.steps()
    incidents_setup.current.set(incidents_setup.policies)
    assert await kinds(incidents_setup) == []
    (told,) = incidents_setup.messages("#releases", "hold_lifted")
    assert "*checkout* is open again" in told.text


async def test_a_service_that_vanishes_while_an_incident_begins_comes_back_held(
    incidents_setup: IncidentsSetup,
) -> None:
    incidents_setup.current.set(WITHOUT_CHECKOUT)
    await incidents_setup.opened(severity=Severity.SEV1)
    incidents_setup.current.set(incidents_setup.policies)
    assert await kinds(incidents_setup) == [HoldKind.INCIDENT]


async def test_a_hold_whose_lifting_was_lost_is_named_and_lifted(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened(severity=Severity.SEV1)
    catalog_ = incidents_setup.current.catalog
    assert (
        await incidents_setup.hold_registry.ended_causes(
            catalog_.service_or_stand_in, incidents_setup.clock.now()
        )
        == []
    )
    await lose_lifting(incidents_setup, view.incident.id)
    assert await kinds(incidents_setup) == [HoldKind.INCIDENT]
    ((hold, cause),) = await incidents_setup.hold_registry.ended_causes(
        catalog_.service_or_stand_in, incidents_setup.clock.now()
    )
    assert (hold.service, cause.why) == ("checkout", "the incident is resolved")
    await incidents_setup.incidents.run_scheduled()
    assert await kinds(incidents_setup) == [HoldKind.INCIDENT]
    readiness = HoldReadiness(incidents_setup.hold_registry, incidents_setup.current, incidents_setup.clock)
    assert (await readiness.holds()).ok
    incidents_setup.clock.ahead = 2 * MINUTE
    check = await readiness.holds()
    assert not check.ok
    assert "the incident is resolved; /freeze lift checkout lifts it" in str(check.detail)
    await incidents_setup.incidents.run_scheduled()
    assert await kinds(incidents_setup) == []


async def test_people_may_lift_a_hold_that_outlived_its_incident(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened(severity=Severity.SEV1)
    await lose_lifting(incidents_setup, view.incident.id)
    checkout = incidents_setup.policies.services["checkout"]
    now = incidents_setup.clock.now()
    await incidents_setup.hold_registry.lift(checkout, by="U0SAM", reason="it is over", now=now)
    assert await kinds(incidents_setup) == []


async def test_a_late_lifting_leaves_an_incident_that_came_back_its_hold(
    incidents_setup: IncidentsSetup,
) -> None:
    view = await incidents_setup.opened(severity=Severity.SEV1)
    async with incidents_setup.database.transaction() as connection:
        await plan(connection, view.incident.id, ChannelKind.INCIDENT, [(StepName.LIFT, "checkout")])
    await incidents_setup.complete(view.incident.id)
    assert await kinds(incidents_setup) == [HoldKind.INCIDENT]


async def lose_lifting(setup: IncidentsSetup, id_: int) -> None:
    """Resolve an incident without the step that lifts its hold, as where that step was given up."""
    resolved = update(incidents).where(incidents.c.id == id_)
    async with setup.database.transaction() as connection:
        await connection.execute(resolved.values(status=Status.RESOLVED, updated_at=setup.clock.now()))
