"""Two companies install the program: each sees, hears and changes its own services, until it uninstalls."""

import re
from collections.abc import Sequence
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp

from bot.sandbox.fake_slack.oauth import CLIENT_ID, MultiWorkspaceServer
from bot.slack.manifest import manifest
from bot.store.encryption import new_key
from tests.support.running import Bot, eventually, running_governor, write_policies

ACME, GLOBEX = "T0SANDBOX", "T0GLOBEX"
POLICIES = """\
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  evaluateEvery: 1s
  permissions: {freeze: ["@sre"]}
---
apiVersion: governor/v1
kind: Workspace
metadata: {name: globex}
spec:
  team: T0GLOBEX
  channels: {announcements: "#releases"}
  permissions: {freeze: ["@sre"], incidents: everyone}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  channel: "#checkout"
  slos: [{name: orders, objective: 99, window: 30d, sli: {events: {}}}]
---
apiVersion: governor/v1
kind: Service
metadata: {name: rockets}
spec:
  workspace: globex
  channel: "#rockets"
  teams: {reliability: "@sre"}
  slos: [{name: orders, objective: 99, window: 30d, sli: {events: {}}}]
"""


async def install(bot: Bot, slack: MultiWorkspaceServer, team: str, by: str) -> int:
    """Install as a browser does; return the last page's status."""
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(f"{bot.url}/slack/install") as page:
            button = re.search(r'class="button" href="([^"]+)"', await page.text())
            cookie = page.headers["Set-Cookie"].partition(";")[0]
        assert button is not None
        back = slack.allow(unescape(button[1]), team=team, by=by)
        there = back.replace("https://governor.example", bot.url)
        async with browser.get(there, headers={"Cookie": cookie}) as page:
            return page.status


async def types(
    slack: MultiWorkspaceServer, team: str, who: str, text: str, channel: str = "#general"
) -> str:
    """Let a person type a command; return the text that they see next."""
    there = slack.team(team)
    before = len(there.seen_by(who, channel))
    await there.person(who).says(text, channel)
    await there.until(lambda: len(there.seen_by(who, channel)) > before)
    return there.seen_by(who, channel)[before].text


def told(slack: MultiWorkspaceServer, team: str, channel: str) -> str:
    return "\n".join(message.text for message in slack.team(team).messages(channel))


def installable(slack: MultiWorkspaceServer, url: str) -> dict[str, str]:
    """Return the environment of a bot that workspaces install themselves."""
    return {
        "SLACK_CLIENT_ID": CLIENT_ID,
        "SLACK_CLIENT_SECRET": slack.grants.client_secret,
        "GOVERNOR_ENCRYPTION_KEY": new_key(),
        "DATABASE_URL": url,
    }


async def test_two_workspaces_are_served_apart_until_one_uninstalls(tmp_path: Path, url: str) -> None:
    policies = write_policies(tmp_path, POLICIES)
    async with MultiWorkspaceServer(manifest=manifest("https://governor.example")) as slack:
        told_env = installable(slack, url)
        async with running_governor(policies=policies, slack=slack, folder=tmp_path, **told_env) as bot:
            assert await install(bot, slack, ACME, "U0SAM") == 200
            assert await install(bot, slack, GLOBEX, "U1HANK") == 200
            await bot.kill()
            await bot.start()

            ours, theirs = [
                await types(slack, team, who, "/budget") for team, who in ((ACME, "sam"), (GLOBEX, "hank"))
            ]
            assert ("checkout" in ours, "rockets" in ours) == (True, False)
            assert ("checkout" in theirs, "rockets" in theirs) == (False, True)
            assert "rockets" not in await types(slack, ACME, "sam", "/freeze")
            answer = await types(slack, ACME, "sam", "/freeze rockets for 1h not ours")
            assert "There is no service" in answer or "do not know" in answer or "not known" in answer, answer
            assert "Only" in await types(slack, GLOBEX, "iris", "/freeze rockets for 1h I may not")

            await types(slack, GLOBEX, "hank", "/freeze rockets for 1h a leak")
            there = slack.team(GLOBEX)
            await there.until(lambda: "a leak" in told(slack, GLOBEX, "#rockets"))
            await there.until(lambda: "a leak" in told(slack, GLOBEX, "#releases"))
            assert "rockets" not in told(slack, ACME, "#releases")
            assert "T0GLOBEX/" not in told(slack, GLOBEX, "#rockets") + told(slack, GLOBEX, "#releases")

            await slack.uninstall(GLOBEX)
            await eventually(lambda: actions(bot), lambda done: "workspace.uninstalled" in done)
            await there.person("hank").says("/freeze lift rockets by nobody", "#general")
            opened = {"title": "Engine", "severity": "sev1", "services": ["rockets"], "key": "engine"}
            assert (await bot.api("POST", "incidents", json=opened))[0] == 201
            ready = await eventually(lambda: bot.get("/readyz"), is_lost)
            assert ready["checks"]["delivery"]["failing"]["T0GLOBEX/#rockets"]["error"] == "not_installed"
            await eventually(lambda: bot.state("rockets"), partial(is_held_by, ["incident", "person"]))
            assert "checkout" in await types(slack, ACME, "sam", "/budget")

            assert await install(bot, slack, GLOBEX, "U1HANK") == 200
            await types(slack, GLOBEX, "hank", "/freeze lift rockets mended")
            await there.until(lambda: "mended" in told(slack, GLOBEX, "#rockets"))
            assert "rockets" not in told(slack, ACME, "#releases")
        log = bot.log.read_text()
    assert not [token for token in slack.grants.tokens if token in log]


async def actions(bot: Bot) -> list[str]:
    _, body = await bot.api("GET", "audit")
    return [row["action"] for row in body["rows"]]


def is_held_by(kinds: Sequence[str], state: dict[str, Any]) -> bool:
    return sorted(hold["kind"] for hold in state["holds"]) == kinds


def is_lost(ready: dict[str, Any]) -> bool:
    return "T0GLOBEX/#rockets" in ready["checks"]["delivery"]["failing"]
