"""An incident of a further workspace: its rooms, people and words are that workspace's, and nobody else's."""

from pathlib import Path

import pytest

from bot.sandbox.fake_slack.model import Channel
from bot.sandbox.fake_slack.oauth import MultiWorkspaceServer
from bot.sandbox.fake_slack.server import FakeSlack
from bot.slack.manifest import manifest
from tests.stories.test_workspaces import ACME, GLOBEX, POLICIES, install, installable, told, types
from tests.support.running import running_governor, write_policies

RIGHTS = POLICIES.replace('{freeze: ["@sre"]}', '{freeze: ["@sre"], incidents: everyone}')


def room(there: FakeSlack, prefix: str) -> Channel | None:
    found = there.workspace.channels.values()
    return next((one for one in found if one.name.startswith(prefix)), None)


async def made(there: FakeSlack, prefix: str) -> Channel:
    """Wait until a channel is there with a pinned card."""

    def furnished() -> bool:
        found = room(there, prefix)
        return found is not None and bool(found.pins)

    await there.until(furnished, within_s=20)
    found = room(there, prefix)
    assert found is not None
    return found


async def home(slack: MultiWorkspaceServer, team: str, who: str) -> str:
    """Open a person's home tab; return its content."""
    person = slack.team(team).person(who)
    person.opens_home()
    await slack.team(team).until(lambda: person.home is not None)
    return str(person.home and person.home.content)


@pytest.mark.timeout(180)
async def test_an_incident_of_a_further_workspace_is_lived_through_there(tmp_path: Path, url: str) -> None:
    policies = write_policies(tmp_path, RIGHTS)
    async with MultiWorkspaceServer(manifest=manifest("https://governor.example")) as slack:
        environ = installable(slack, url)
        there, here = slack.team(GLOBEX), slack.team(ACME)
        for team in (there, here):
            team.rates.enabled = False
        async with running_governor(policies=policies, slack=slack, folder=tmp_path, **environ) as bot:
            assert await install(bot, slack, ACME, "U0SAM") == 200
            assert await install(bot, slack, GLOBEX, "U1HANK") == 200
            answer = await types(slack, GLOBEX, "iris", "/incident open Engine fire sev2 rockets")
            assert answer.startswith("Incident 1 is open, sev2 (rockets). Next: join <#")
            incident = await made(there, "inc-")
            await there.until(lambda: {"U1HANK", "U1IRIS"} <= set(incident.members), within_s=20)
            await there.until(lambda: "Engine fire" in told(slack, GLOBEX, "#releases"), within_s=20)
            await bot.until_state("rockets", "frozen")

            assert room(here, "inc-") is None
            assert "No incident is open" in await types(slack, ACME, "sam", "/incident list")
            assert "There is no incident 1" in await types(slack, ACME, "sam", "/incident show 1")
            assert "Engine fire" in await home(slack, GLOBEX, "hank")
            assert "Engine fire" not in await home(slack, ACME, "sam")

            await types(slack, GLOBEX, "hank", "/incident role commander", incident.id)
            await types(
                slack, GLOBEX, "hank", "/action add test the valve @iris due tomorrow P0", incident.id
            )
            assert "test the valve" in await home(slack, GLOBEX, "iris")
            assert "test the valve" not in await types(slack, ACME, "sam", "/action list")
            await types(slack, GLOBEX, "hank", "/incident status resolved", incident.id)
            await bot.until_state("rockets", "open")
            await types(slack, GLOBEX, "hank", "/postmortem open", incident.id)
            postmortem = await made(there, "pm-")
            await types(slack, GLOBEX, "iris", "/postmortem close anyway", postmortem.id)
            await there.until(lambda: incident.is_archived and postmortem.is_archived, within_s=30)

            (document,) = there.workspace.files.values()
            text = document.content.decode()
            assert "(iris)" in text
            assert "role · commander: hank (hank)" in text
            assert "U1" not in text, "people have names there"
            assert here.workspace.files == {}
            assert "rockets" not in told(slack, ACME, "#releases")
            assert not any("T0GLOBEX/" in message.text for message in there.messages("#releases"))
            refused = {made.error for made in (*there.refused, *here.refused)}
            assert refused <= {"already_in_channel", "not_in_channel"}, (
                "the bot joins #rockets to speak there"
            )
