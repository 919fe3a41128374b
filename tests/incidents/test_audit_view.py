"""The audit log as others may see it: nothing of private incidents, and a chain that still holds."""

from bot.incidents import audit_view
from bot.incidents.incident import IncidentChange, Role, Severity
from bot.incidents.records.actions import NewAction
from bot.incidents.visibility import ANYBODY, OPERATOR, Viewer
from bot.store import audit
from bot.store.audit_chain import ChainVerified, verify_chain
from tests.support.incidents import IncidentsSetup

SECRET = "Customer data on a public bucket"
ACTION = "rotate the leaked keys"


async def made_private(setup: IncidentsSetup, title: str = SECRET) -> int:
    """Open an incident with an action, both told to everybody, then make it private."""
    id_ = (await setup.opened("told", title=title)).incident.id
    now, lifecycle = setup.clock.now(), setup.incidents.lifecycle
    await setup.incidents.actions.add(NewAction(ACTION, "checkout", id_, request="a"), by="U0SAM", now=now)
    await lifecycle.change(id_, IncidentChange(private=True), by="U0DANA", now=now)
    await setup.incidents.actions.change(1, by="U0DANA", now=now, owner="U0OMAR")
    await lifecycle.change(id_, IncidentChange(severity=Severity.SEV1), by="U0DANA", now=now)
    await setup.complete(id_)
    return id_


async def rows(setup: IncidentsSetup, viewer: Viewer) -> list[audit.AuditRow]:
    async with setup.database.reading() as connection:
        return list(await audit_view.read(connection, viewer))


async def test_others_read_of_a_private_incident_that_something_was_done_and_no_more(
    incidents_setup: IncidentsSetup,
) -> None:
    await made_private(incidents_setup)
    for viewer in (ANYBODY, Viewer("U0RILEY"), Viewer("U0RILEY", here=7)):
        seen = await rows(incidents_setup, viewer)
        assert SECRET not in str(seen)
        assert ACTION not in str(seen)
        own = [row.entry for row in seen if row.entry.subject in {"incident 1", "action 1"}]
        assert {entry.reason for entry in own} == {audit_view.HIDDEN}
        # Neither how severe it is nor how far it has come.
        assert {str(state) for entry in own for state in (entry.before, entry.after)} == {
            "None", "{'private': False}", "{'private': True}",
        }  # fmt: skip
        (placed,) = [row.entry for row in seen if row.entry.action == "hold.placed"]
        assert placed.reason == "sev2 private incident"


async def test_who_may_see_a_private_incident_reads_its_rows_as_they_are(
    incidents_setup: IncidentsSetup,
) -> None:
    id_ = await made_private(incidents_setup)
    lifecycle, now = incidents_setup.incidents.lifecycle, incidents_setup.clock.now()
    await lifecycle.assign(id_, Role.COMMANDER, "U0SAM", by="U0DANA", now=now)
    stored = await rows(incidents_setup, OPERATOR)
    for viewer in (Viewer("U0DANA"), Viewer("U0SAM"), Viewer("U0RILEY", here=id_)):
        assert await rows(incidents_setup, viewer) == stored
    # The owner of an action was told what to do, and nothing of its incident.
    seen = await rows(incidents_setup, Viewer("U0OMAR"))
    assert ACTION in str(seen)
    assert SECRET not in str(seen)


async def test_nothing_private_is_written_once_it_is_private_and_the_chain_stays_whole(
    incidents_setup: IncidentsSetup,
) -> None:
    await made_private(incidents_setup)
    stored = await rows(incidents_setup, OPERATOR)
    (made,) = [row.id for row in stored if (row.entry.after or {}).get("private") and row.entry.before]
    later = [row.entry for row in stored if row.id > made]
    assert {entry.action for entry in later} == {"action.changed", "incident.changed"}
    assert SECRET not in str(later)
    assert ACTION not in str(later)
    async with incidents_setup.database.reading() as connection:
        assert isinstance(await verify_chain(connection), ChainVerified)


async def test_what_a_private_incident_was_called_before_is_left_out_too(
    incidents_setup: IncidentsSetup,
) -> None:
    id_ = (await incidents_setup.opened("told", title=SECRET)).incident.id
    now, lifecycle = incidents_setup.clock.now(), incidents_setup.incidents.lifecycle
    await incidents_setup.complete(id_)
    for title in ("Keys of ACME leaked", "Something"):
        await lifecycle.change(id_, IncidentChange(title=title), by="U0DANA", now=now)
    await lifecycle.change(id_, IncidentChange(private=True), by="U0DANA", now=now)
    other = await incidents_setup.opened("public", title="Search slow")
    seen = str(await rows(incidents_setup, ANYBODY)) + str(other.timeline)
    assert "sev2 private incident" in seen
    for title in (SECRET, "Keys of ACME leaked"):
        assert title not in seen


async def test_a_title_within_another_leaves_that_one_alone(incidents_setup: IncidentsSetup) -> None:
    await made_private(incidents_setup, title="Data")
    await incidents_setup.opened("public", title="Databases slow")
    seen = str(await rows(incidents_setup, ANYBODY))
    assert "sev2 incident: Databases slow" in seen
    assert "incident: Data'" not in seen


async def test_another_incidents_timeline_does_not_name_a_private_one(
    incidents_setup: IncidentsSetup,
) -> None:
    id_ = await made_private(incidents_setup)
    other = await incidents_setup.opened("public", title="Search slow")
    assert SECRET not in str(other.timeline)
    assert "sev2 private incident" in str(other.timeline)
    assert SECRET in str((await incidents_setup.incidents.snapshots.of(id_)).timeline)
