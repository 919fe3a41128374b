"""The install flow against a Slack that exchanges codes: what is stored, what is refused, and the pages."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from re import search

import aiohttp
import pytest
import structlog
from aiohttp import web
from slack_sdk.errors import SlackApiError
from sqlalchemy import select, update
from structlog.testing import capture_logs
from yarl import URL

from bot.sandbox.fake_slack.oauth import CLIENT_ID, MultiWorkspaceServer
from bot.slack.manifest import bot_scopes, manifest
from bot.slack.oauth.flow import STATE_LIFETIME, InstallEndpoint, InstallFlow, OAuthCredentials
from bot.slack.oauth.token_rotation import EXCHANGE_BEFORE, TokenRotation
from bot.slack.webapi.clients import CACHE_S, Clients
from bot.store import audit
from bot.store.database import Database
from bot.store.encryption import BadKeyError, TokenCipher, UndecryptableError, new_key
from bot.store.installations import Installations
from bot.store.tables.core import metadata
from bot.store.tables.installations import installations
from tests.support.clock import NOW
from tests.support.stores import create_tables

ACME, GLOBEX = "T0SANDBOX", "T0GLOBEX"
REDIRECT = "https://governor.example/slack/oauth_redirect"
FILE = "governor.db"
SECRET = MultiWorkspaceServer(manifest={}).grants.client_secret


@dataclass
class OAuthSetup:
    """The flow on a port of its own, a browser, and everything that a test controls."""

    slack: MultiWorkspaceServer
    database: Database
    installations: Installations
    clients: Clients
    rotation: TokenRotation
    url: str
    browser: aiohttp.ClientSession
    time: list[datetime] = field(default_factory=list)
    monotonic: list[float] = field(default_factory=list)

    async def begin(self) -> tuple[str, str]:
        """Open the page; answer where its button leads and the cookie that came along."""
        async with self.browser.get(f"{self.url}/slack/install") as page:
            text = await page.text()
            assert page.status == 200
            cookie = page.headers["Set-Cookie"]
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        button = search(r'class="button" href="([^"]+)"', text)
        assert button is not None
        return unescape(button[1]), cookie.partition(";")[0]

    async def come_back(self, address: str, cookie: str = "") -> tuple[int, str]:
        """Follow Slack's redirect to the flow; return status and page."""
        there = address.replace("https://governor.example", self.url)
        async with self.browser.get(there, headers={"Cookie": cookie}) as page:
            assert page.headers["Content-Type"].startswith("text/html")
            return page.status, await page.text()

    async def install(self, team: str, by: str) -> tuple[int, str]:
        address, cookie = await self.begin()
        return await self.come_back(self.slack.allow(address, team=team, by=by), cookie)


@asynccontextmanager
async def open_oauth_setup(url: str, keys: str, client_secret: str = SECRET) -> AsyncIterator[OAuthSetup]:
    time, monotonic = [NOW], [0.0]

    def wall() -> float:
        return time[0].timestamp()

    seal = TokenCipher(keys)
    async with (
        MultiWorkspaceServer(manifest=manifest("https://governor.example"), wall=wall) as slack,
        aiohttp.ClientSession() as session,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as browser,
        Database(url) as database,
    ):
        await create_tables(database)
        installations = Installations(database, seal, lambda: time[0])
        clients = Clients(
            slack.api_url,
            session,
            single_token=None,
            installations=installations,
            now_s=lambda: monotonic[0],
        )
        credentials = OAuthCredentials(CLIENT_ID, client_secret, REDIRECT, slack.authorize_url)
        flow = InstallFlow(
            credentials,
            clients.without_token(),
            installations=installations,
            cipher=seal,
            now=lambda: time[0],
            on_installed=clients.invalidate,
        )
        rotation = TokenRotation(
            credentials, clients.without_token(), installations, lambda: time[0], clients.invalidate
        )
        app = web.Application()
        InstallEndpoint(flow).add_routes(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            yield OAuthSetup(
                slack,
                database,
                installations,
                clients,
                rotation,
                f"http://{host}:{port}",
                browser,
                time,
                monotonic,
            )
        finally:
            await runner.cleanup()


@pytest.fixture
async def oauth_setup(url: str) -> AsyncIterator[OAuthSetup]:
    async with open_oauth_setup(url, new_key()) as oauth_setup:
        yield oauth_setup


async def test_the_button_asks_slack_for_the_scopes_of_the_manifest(oauth_setup: OAuthSetup) -> None:
    address, _ = await oauth_setup.begin()
    assert address.startswith(oauth_setup.slack.authorize_url)
    assert URL(address).query["scope"].split(",") == bot_scopes()
    async with oauth_setup.browser.get(address) as page:
        assert page.status == 200
        assert "Globex" in await page.text()


async def test_two_workspaces_install_and_each_is_called_with_its_own_token(oauth_setup: OAuthSetup) -> None:
    assert (await oauth_setup.install(ACME, "U0SAM"))[0] == 200
    status, page = await oauth_setup.install(GLOBEX, "U1HANK")
    assert status == 200
    assert "Globex" in page
    for team, name in ((ACME, "Acme"), (GLOBEX, "Globex")):
        assert (await oauth_setup.clients.for_team(team).auth_test())["team"] == name
    async with oauth_setup.database.reading() as connection:
        rows = [row.entry for row in await audit.read(connection)]
    assert [(row.actor, row.action, row.subject) for row in rows] == [
        ("U0SAM", "workspace.installed", f"Acme ({ACME})"),
        ("U1HANK", "workspace.installed", f"Globex ({GLOBEX})"),
    ]


async def test_no_token_is_in_the_database_unencrypted(oauth_setup: OAuthSetup, tmp_path: Path) -> None:
    oauth_setup.slack.grants.rotates_s = 43_200
    await oauth_setup.install(ACME, "U0SAM")
    installation = await oauth_setup.installations.find(ACME)
    assert installation is not None
    assert installation.refresh_token is not None
    assert repr(installation).find(installation.bot_token) == -1
    lying = await _all_rows(oauth_setup.database)
    if oauth_setup.database.url.startswith("sqlite"):
        await asyncio.to_thread(_checkpoint, tmp_path / FILE)
        lying += await asyncio.to_thread(_all_bytes, tmp_path)
    assert ACME.encode() in lying
    for secret in (
        installation.bot_token,
        installation.refresh_token,
        installation.bot_token.removeprefix("xoxb-"),
    ):
        assert secret.encode() not in lying


async def _all_rows(database: Database) -> bytes:
    async with database.reading() as connection:
        rows = [(await connection.execute(select(table))).all() for table in metadata.sorted_tables]
    return repr(rows).encode()


def _all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def _checkpoint(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def test_a_state_is_good_once_for_ten_minutes_and_in_its_own_browser(oauth_setup: OAuthSetup) -> None:
    address, cookie = await oauth_setup.begin()
    back = oauth_setup.slack.allow(address, team=ACME, by="U0SAM")
    for wrong in ("", "slack-app-oauth-state=other", f"other={cookie.partition('=')[2]}"):
        status, page = await oauth_setup.come_back(back, wrong)
        assert (status, "started in another browser" in page) == (400, True)
    assert (await oauth_setup.come_back(back, cookie))[0] == 200
    status, page = await oauth_setup.come_back(back, cookie)
    assert (status, "used before" in page) == (400, True)

    address, cookie = await oauth_setup.begin()
    back = oauth_setup.slack.allow(address, team=GLOBEX, by="U1HANK")
    oauth_setup.time[0] += STATE_LIFETIME + timedelta(seconds=1)
    status, page = await oauth_setup.come_back(back, cookie)
    assert (status, "longer than ten minutes" in page) == (400, True)
    assert list(await oauth_setup.installations.teams()) == [ACME]


async def test_a_forged_state_or_an_encrypted_token_is_no_state(oauth_setup: OAuthSetup) -> None:
    await oauth_setup.install(ACME, "U0SAM")
    async with oauth_setup.database.reading() as connection:
        sealed = (await connection.execute(select(installations.c.bot_token))).scalar_one()
    for forged in ("x", TokenCipher(new_key()).encrypt_with_time("state 1", NOW), sealed, "é%00"):
        code = oauth_setup.slack.grants.code(GLOBEX, "U1HANK", REDIRECT)
        back = str(URL(REDIRECT).with_query(code=code, state=forged))
        status, _ = await oauth_setup.come_back(
            back, f"slack-app-oauth-state={forged}".encode("ascii", "ignore").decode()
        )
        assert status == 400
    assert list(await oauth_setup.installations.teams()) == [ACME]


async def test_every_other_refusal_has_a_page_and_leaves_no_secret_in_the_logs(
    oauth_setup: OAuthSetup,
) -> None:
    with structlog.testing.capture_logs() as logs:
        status, page = await oauth_setup.come_back(f"{REDIRECT}?error=access_denied&state=x")
        assert (status, "declined in Slack" in page) == (400, True)
        status, page = await oauth_setup.come_back(f"{REDIRECT}?error=%3Cscript%3Ealert(1)%3C/script%3E")
        assert (status, "script" in page) == (400, False)
        codes = {
            oauth_setup.slack.grants.code(ACME, "U0SAM", "https://elsewhere.example/"): "redirect URLs",
            "111.unknown": "This code has expired",
        }
        for code, text in codes.items():
            _, cookie = await oauth_setup.begin()
            state = cookie.partition("=")[2]
            back = str(URL(REDIRECT).with_query(code=code, state=state))
            status, page = await oauth_setup.come_back(back, cookie)
            assert (status, text in page) == (400, True)
        address, cookie = await oauth_setup.begin()
        back = oauth_setup.slack.allow(address, team=ACME, by="U0SAM", org_wide=True)
        status, page = await oauth_setup.come_back(back, cookie)
        assert (status, "Enterprise Grid" in page) == (400, True)
    assert [token.revoked for token in oauth_setup.slack.grants.tokens.values()] == [True]
    assert await oauth_setup.installations.teams() == {}
    for secret in (*codes, *oauth_setup.slack.grants.tokens):
        assert secret not in str(logs)


async def test_a_wrong_client_secret_and_a_silent_slack_are_reported(url: str) -> None:
    async with open_oauth_setup(url, new_key(), client_secret="another") as oauth_setup:
        status, page = await oauth_setup.install(ACME, "U0SAM")
        assert (status, "SLACK_CLIENT_SECRET" in page) == (400, True)
        address, cookie = await oauth_setup.begin()
        back = oauth_setup.slack.allow(address, team=ACME, by="U0SAM")
        await oauth_setup.slack.close()
        status, page = await oauth_setup.come_back(back, cookie)
        assert (status, "did not answer" in page) == (400, True)


async def test_whoever_uninstalls_is_not_called_any_more(oauth_setup: OAuthSetup) -> None:
    await oauth_setup.install(ACME, "U0SAM")
    client = oauth_setup.clients.for_team(ACME)
    assert (await client.auth_test())["ok"]
    assert await oauth_setup.installations.remove(ACME, "uninstalled")
    assert not await oauth_setup.installations.remove(ACME, "uninstalled")
    oauth_setup.monotonic[0] += CACHE_S + 1
    with pytest.raises(SlackApiError, match="not_installed"):
        await client.auth_test()
    await oauth_setup.install(ACME, "U0SAM")
    assert (await client.auth_test())["ok"]


async def test_a_token_that_ends_is_renewed_before_its_end_and_the_old_one_is_not_needed(
    oauth_setup: OAuthSetup,
) -> None:
    oauth_setup.slack.grants.rotates_s = 43_200
    await oauth_setup.install(ACME, "U0SAM")
    first = await oauth_setup.installations.find(ACME)
    assert first is not None
    await oauth_setup.rotation.rotate()
    assert await oauth_setup.installations.find(ACME) == first
    oauth_setup.time[0] += timedelta(hours=12) - EXCHANGE_BEFORE + timedelta(seconds=1)
    await oauth_setup.rotation.rotate()
    second = await oauth_setup.installations.find(ACME)
    assert second is not None
    assert second.bot_token != first.bot_token
    assert second.expires_at == oauth_setup.time[0] + timedelta(hours=12)
    oauth_setup.time[0] += EXCHANGE_BEFORE
    assert (await oauth_setup.clients.for_team(ACME).auth_test())["team_id"] == ACME
    # What another replica holds of the row is old by now: it must not overwrite.
    assert not await oauth_setup.installations.renew(first, "xoxb-old", "xoxe-old", oauth_setup.time[0])


async def test_a_token_that_no_key_opens_delays_the_renewal_of_no_other(oauth_setup: OAuthSetup) -> None:
    oauth_setup.slack.grants.rotates_s = 43_200
    await oauth_setup.install(ACME, "U0SAM")
    await oauth_setup.install(GLOBEX, "U1HANK")
    first = await oauth_setup.installations.find(GLOBEX)
    damaged = update(installations).where(installations.c.team_id == ACME).values(bot_token="damaged")
    async with oauth_setup.database.transaction() as connection:
        await connection.execute(damaged)
    oauth_setup.time[0] += timedelta(hours=12) - EXCHANGE_BEFORE + timedelta(seconds=1)
    with capture_logs() as logs:
        await oauth_setup.rotation.rotate()
    second = await oauth_setup.installations.find(GLOBEX)
    assert first is not None
    assert second is not None
    assert second.bot_token != first.bot_token
    failures = [entry for entry in logs if entry["event"] == "token_renewal_failed"]
    assert {entry["item"] for entry in failures} == {ACME}


async def test_keys_are_changed_by_putting_the_new_one_first(url: str) -> None:
    old, new = new_key(), new_key()
    async with open_oauth_setup(url, old) as oauth_setup:
        await oauth_setup.install(ACME, "U0SAM")
        installation = await oauth_setup.installations.find(ACME)
        both = Installations(oauth_setup.database, TokenCipher(f"{new}, {old}"), lambda: NOW)
        assert await both.find(ACME) == installation
        assert await both.reencrypt_all() == 1
        alone = Installations(oauth_setup.database, TokenCipher(new), lambda: NOW)
        assert await alone.find(ACME) == installation
        with pytest.raises(UndecryptableError, match="GOVERNOR_ENCRYPTION_KEY"):
            await oauth_setup.installations.find(ACME)
    with pytest.raises(BadKeyError):
        TokenCipher("no key")
    with pytest.raises(BadKeyError):
        TokenCipher("")
