"""A postmortem is closed: the document stays, both channels are archived, and nothing is said there again."""

import pytest

from bot.incidents.incident import IllegalChangeError, IncidentChange, Severity, Status
from bot.incidents.postmortem import Obstacle, PostmortemPart
from bot.incidents.postmortem_closing import NotClosableError
from bot.incidents.records.actions import NewAction
from bot.incidents.records.channels import ChannelKind
from bot.incidents.snapshot import IncidentSnapshot
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.model import Channel
from bot.slack.incidents.messages import CARD, DOCUMENT, NOT_ARCHIVED, NOTICE, POSTMORTEM_CLOSED
from bot.store import audit
from tests.support.clock import MINUTE
from tests.support.incidents import IncidentsSetup, channel_id_of

TEAMS = {"U0DANA", "U0SAM"}


async def learned(
    incidents_setup: IncidentsSetup, *, minutes: float = 3, p0: bool = True, **fields: object
) -> IncidentSnapshot:
    """Play an outage to a postmortem that can be closed."""
    now = incidents_setup.clock.now()
    opening = incidents_setup.opening(started_at=now - minutes * MINUTE, **fields)  # type: ignore[arg-type]
    id_ = (await incidents_setup.incidents.lifecycle.open(opening, now)).incident.id
    over = IncidentChange(status=Status.RESOLVED, ended_at=now)
    await incidents_setup.incidents.lifecycle.change(id_, over, by="U0SAM", now=now)
    await incidents_setup.incidents.lifecycle.request_postmortem(id_, by="U0SAM", now=now)
    if p0:
        wanted = NewAction("Limit the pool", "checkout", id_, "U0SAM", now.date(), is_p0=True)
        await incidents_setup.incidents.actions.add(wanted, by="U0DANA", now=now)
    return await incidents_setup.complete(id_)


async def closed(incidents_setup: IncidentsSetup, **fields: object) -> IncidentSnapshot:
    view = await learned(incidents_setup, **fields)  # type: ignore[arg-type]
    await incidents_setup.incidents.closing.close(view.incident.id, by="U0DANA")
    return await incidents_setup.complete(view.incident.id)


def channel(
    incidents_setup: IncidentsSetup, view: IncidentSnapshot, kind: ChannelKind = ChannelKind.INCIDENT
) -> Channel:
    return incidents_setup.slack.workspace.channels[channel_id_of(view, kind)]


def files(incidents_setup: IncidentsSetup, view: IncidentSnapshot) -> list[str]:
    """The names of the files that the postmortem's channel shows."""
    messages = channel(incidents_setup, view, ChannelKind.POSTMORTEM).messages
    return [str(file["name"]) for message in messages for file in message.files]


def assert_closed(incidents_setup: IncidentsSetup, view: IncidentSnapshot) -> None:
    """One file, one canvas, one word in each room and one elsewhere, both rooms archived."""
    for kind in ChannelKind:
        assert channel(incidents_setup, view, kind).is_archived
        assert view.channels[kind].is_archived
        assert len(incidents_setup.messages(channel_id_of(view, kind), POSTMORTEM_CLOSED)) == 1
    assert len(incidents_setup.messages("#incidents", POSTMORTEM_CLOSED)) == 1
    assert files(incidents_setup, view) == [view.postmortem.file_name]
    (canvas,) = incidents_setup.slack.workspace.canvases.values()
    assert "**P0** Limit the pool — sam, due" in canvas["markdown"]


async def test_closing_keeps_the_document_and_archives_both_channels(incidents_setup: IncidentsSetup) -> None:
    view = await closed(incidents_setup)
    assert_closed(incidents_setup, view)
    (file,) = incidents_setup.slack.workspace.files.values()
    assert file.content.decode().startswith("# Checkout 500s\n")
    assert "postmortem closed (dana)" in file.content.decode()
    async with incidents_setup.database.reading() as connection:
        rows = [row.entry for row in await audit.read(connection)]
    assert [(one.actor, one.action) for one in rows][-3:] == [
        ("U0DANA", "incident.postmortem_closed"),
        ("governor", "incident.archived"),
        ("governor", "incident.archived"),
    ]
    assert {one.after["channel"] for one in rows[-2:] if one.after} == {
        channel_id_of(view),
        channel_id_of(view, ChannelKind.POSTMORTEM),
    }


async def test_the_last_that_is_shown_is_that_it_is_closed(incidents_setup: IncidentsSetup) -> None:
    view = await closed(incidents_setup)
    (card,) = incidents_setup.messages(channel_id_of(view), CARD)
    assert "Its postmortem is closed. Next: `/postmortem 1` shows it." in str(card.blocks)
    (document,) = incidents_setup.messages(channel_id_of(view, ChannelKind.POSTMORTEM), DOCUMENT)
    assert "postmortem closed" in str(document.blocks)
    assert "Contributing factors" in str(document.blocks)
    assert not any("postmortem.edit" in str(block) for block in document.blocks)
    (notice,) = incidents_setup.messages("#incidents", NOTICE)
    await incidents_setup.slack.until(lambda: "Its postmortem is closed" in notice.text)


async def test_nothing_is_said_in_an_archived_channel(incidents_setup: IncidentsSetup) -> None:
    view = await closed(incidents_setup)
    before = len(incidents_setup.slack.web_api.calls)
    id_, now = view.incident.id, incidents_setup.clock.now()
    await incidents_setup.incidents.lifecycle.change(id_, IncidentChange(share=0.3), by="U0SAM", now=now)
    await incidents_setup.incidents.actions.done(1, by="U0SAM", now=now)
    await incidents_setup.do_due_tasks()
    (notice,) = incidents_setup.messages("#incidents", NOTICE)
    # What stands elsewhere still follows.
    await incidents_setup.slack.until(lambda: "30%" in notice.blocks[1]["text"]["text"])
    await incidents_setup.complete(id_)
    gone = {channel_id_of(view, kind) for kind in ChannelKind}
    later = list(incidents_setup.slack.web_api.calls)[before:]
    assert not [made for made in later if made.args.get("channel") in gone]
    assert {made.error for made in incidents_setup.slack.refused} == {"already_in_channel"}


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal",
                                    "conversations.canvases.create", "users.info", "chat.postMessage",
                                    "chat.update", "conversations.archive"])  # fmt: skip
@pytest.mark.parametrize("fault", [InjectedFault.RATE_LIMITED, InjectedFault.SERVER_ERROR, InjectedFault.CUT])
@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
async def test_any_call_of_closing_may_fail_once(
    incidents_setup: IncidentsSetup, method: str, fault: InjectedFault
) -> None:
    view = await learned(incidents_setup)
    incidents_setup.slack.faults.once(fault, method)
    await incidents_setup.incidents.closing.close(view.incident.id, by="U0DANA")
    view = await incidents_setup.complete(view.incident.id)
    if method == "users.info":
        assert all(channel(incidents_setup, view, kind).is_archived for kind in ChannelKind)
    else:
        assert_closed(incidents_setup, view)


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("files.getUploadURLExternal", "file_uploads_disabled"),
        ("files.completeUploadExternal", "access_denied"),
        ("conversations.canvases.create", "canvas_disabled_user_team"),
        ("conversations.canvases.create", "missing_scope"),
    ],
)
async def test_a_workspace_without_files_or_canvases_archives_all_the_same(
    incidents_setup: IncidentsSetup, method: str, error: str
) -> None:
    view = await learned(incidents_setup)
    incidents_setup.slack.faults.refuse(method, error)
    await incidents_setup.incidents.closing.close(view.incident.id, by="U0DANA")
    view = await incidents_setup.complete(view.incident.id)
    assert all(channel(incidents_setup, view, kind).is_archived for kind in ChannelKind)
    assert [one for _, state, one in await incidents_setup.steps() if state == "failed"] == [error]


@pytest.mark.parametrize("error", ["restricted_action", "missing_scope", "cant_archive_required"])
async def test_a_workspace_that_refuses_to_archive_is_told_of_once(
    incidents_setup: IncidentsSetup, error: str
) -> None:
    view = await learned(incidents_setup)
    for _ in range(2):
        incidents_setup.slack.faults.refuse("conversations.archive", error)
    await incidents_setup.incidents.closing.close(view.incident.id, by="U0DANA")
    view = await incidents_setup.complete(view.incident.id)
    for kind in ChannelKind:
        (told,) = incidents_setup.messages(channel_id_of(view, kind), NOT_ARCHIVED)
        assert error in told.text
        assert not channel(incidents_setup, view, kind).is_archived
    again = await incidents_setup.incidents.closing.close(view.incident.id, by="U0DANA")
    assert (again.is_new, again.tried_again) == (False, True)
    view = await incidents_setup.complete(view.incident.id)
    assert_closed(incidents_setup, view)
    again = await incidents_setup.incidents.closing.close(view.incident.id, by="U0DANA")
    assert (again.is_new, again.tried_again) == (False, False)


async def test_what_somebody_archived_by_hand_is_done_already(incidents_setup: IncidentsSetup) -> None:
    view = await learned(incidents_setup)
    incidents_setup.slack.faults.refuse("conversations.archive", "already_archived")
    incidents_setup.slack.faults.refuse("conversations.archive", "channel_not_found")
    await incidents_setup.incidents.closing.close(view.incident.id, by="U0DANA")
    view = await incidents_setup.complete(view.incident.id)
    assert all(view.channels[kind].is_archived for kind in ChannelKind)
    assert incidents_setup.messages(channel_id_of(view), NOT_ARCHIVED) == []


async def test_what_keeps_a_postmortem_open_is_said(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened(started_at=incidents_setup.clock.now() - 3 * MINUTE)
    id_, now = view.incident.id, incidents_setup.clock.now()
    lifecycle, closing = incidents_setup.incidents.lifecycle, incidents_setup.incidents.closing
    obstacles = []
    with pytest.raises(NotClosableError) as refused:
        await closing.close(id_, by="U0DANA")
    obstacles.append(refused.value.obstacle)
    await lifecycle.request_postmortem(id_, by="U0SAM", now=now)
    with pytest.raises(NotClosableError) as refused:
        await closing.close(id_, by="U0DANA")
    obstacles.append(refused.value.obstacle)
    await lifecycle.change(id_, IncidentChange(status=Status.RESOLVED), by="U0SAM", now=now)
    with pytest.raises(NotClosableError) as refused:
        await closing.close(id_, by="U0DANA")
    obstacles.append(refused.value.obstacle)
    assert obstacles == [Obstacle.NOT_OPEN, Obstacle.NOT_RESOLVED, Obstacle.NO_P0_ACTION]
    await incidents_setup.incidents.actions.add(NewAction("Talk", "checkout", id_), by="U0DANA", now=now)
    with pytest.raises(NotClosableError):
        await closing.close(id_, by="U0DANA")
    await incidents_setup.incidents.actions.add(
        NewAction("Mend", "checkout", id_, is_p0=True), by="U0DANA", now=now
    )
    assert (await closing.close(id_, by="U0DANA")).is_new


async def test_a_cheap_incident_needs_no_p0_action(incidents_setup: IncidentsSetup) -> None:
    view = await learned(incidents_setup, minutes=1, p0=False, severity=Severity.SEV4)
    assert (await incidents_setup.incidents.closing.close(view.incident.id, by="U0DANA")).is_new


async def test_a_closed_document_is_not_changed(incidents_setup: IncidentsSetup) -> None:
    view = await closed(incidents_setup)
    with pytest.raises(IllegalChangeError, match="open it again"):
        await incidents_setup.incidents.lifecycle.write_part(
            view.incident.id, PostmortemPart.SUMMARY, "other", by="U0SAM", now=incidents_setup.clock.now()
        )


async def test_a_private_incident_ends_quietly(incidents_setup: IncidentsSetup) -> None:
    view = await closed(incidents_setup, private=True, title="Leaked keys")
    assert channel(incidents_setup, view).is_archived
    for name in ("#incidents", "#releases", "#checkout"):
        assert not any("Leaked" in message.text for message in incidents_setup.slack.messages(name))


async def test_an_incident_that_comes_back_gets_a_new_channel_and_later_a_new_postmortem(
    incidents_setup: IncidentsSetup,
) -> None:
    view = await closed(incidents_setup)
    id_, old, old_pm = view.incident.id, channel_id_of(view), channel_id_of(view, ChannelKind.POSTMORTEM)
    lifecycle = incidents_setup.incidents.lifecycle
    back = IncidentChange(status=Status.INVESTIGATING)
    await lifecycle.change(id_, back, by="U0SAM", now=incidents_setup.clock.now())
    view = await incidents_setup.complete(id_)
    assert channel_id_of(view) != old
    assert (
        view.channels[ChannelKind.INCIDENT].name == f"inc-{view.incident.opened_at:%Y-%m-%d}-checkout-500s-2"
    )
    assert set(channel(incidents_setup, view).members) >= TEAMS
    (card,) = incidents_setup.messages(channel_id_of(view), CARD)
    assert f"before it came back: <#{old}>" in str(card.blocks)
    assert len(incidents_setup.messages("#incidents", NOTICE)) == 2
    assert view.channels[ChannelKind.POSTMORTEM].is_archived
    await lifecycle.change(
        id_, IncidentChange(status=Status.RESOLVED), by="U0SAM", now=incidents_setup.clock.now()
    )
    view = await incidents_setup.complete(id_)
    assert channel_id_of(view, ChannelKind.POSTMORTEM) != old_pm
    assert view.incident.finished_at is None
    await incidents_setup.incidents.closing.close(id_, by="U0DANA")
    view = await incidents_setup.complete(id_)
    assert all(channel(incidents_setup, view, kind).is_archived for kind in ChannelKind)
    assert len(files(incidents_setup, view)) == 1


async def test_an_incident_that_comes_back_before_it_is_archived_keeps_its_channel(
    incidents_setup: IncidentsSetup,
) -> None:
    view = await learned(incidents_setup)
    id_ = view.incident.id
    for _ in range(40):
        incidents_setup.slack.faults.once(InjectedFault.SERVER_ERROR, "files.getUploadURLExternal")
        incidents_setup.slack.faults.once(InjectedFault.SERVER_ERROR, "conversations.archive")
    await incidents_setup.incidents.closing.close(id_, by="U0DANA")
    now = incidents_setup.clock.now()
    await incidents_setup.incidents.lifecycle.change(
        id_, IncidentChange(status=Status.IDENTIFIED), by="U0SAM", now=now
    )
    after = await incidents_setup.complete(id_)
    assert channel_id_of(after) == channel_id_of(view)
    assert not any(channel(incidents_setup, view, kind).is_archived for kind in ChannelKind)


async def test_a_closed_postmortem_can_be_opened_again(incidents_setup: IncidentsSetup) -> None:
    view = await closed(incidents_setup)
    id_, old = view.incident.id, channel_id_of(view, ChannelKind.POSTMORTEM)
    await incidents_setup.incidents.lifecycle.request_postmortem(
        id_, by="U0SAM", now=incidents_setup.clock.now()
    )
    view = await incidents_setup.complete(id_)
    assert channel_id_of(view, ChannelKind.POSTMORTEM) != old
    assert len(incidents_setup.messages(channel_id_of(view, ChannelKind.POSTMORTEM), DOCUMENT)) == 1
    assert view.channels[ChannelKind.INCIDENT].is_archived
