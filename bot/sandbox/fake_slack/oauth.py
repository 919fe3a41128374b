"""Several workspaces on one server, and the installation of the app in each by OAuth v2.

    async with MultiWorkspaceServer(manifest=manifest, bot_url=…) as slack:
        acme, globex = slack.team("T0SANDBOX"), slack.team("T0GLOBEX")   # each a `FakeSlack`
        url = slack.allow(authorize_url, team="T0GLOBEX", by="U1HANK")  # where Slack redirects the browser
        await slack.uninstall("T0GLOBEX")

`/slack-api/{method}` answers for the workspace of the call's token. `oauth.v2.access` exchanges codes (once,
within ten minutes) and refresh tokens (once) for tokens; `auth.revoke` and uninstalling revoke them.
https://docs.slack.dev/reference/methods/oauth.v2.access
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
from aiohttp import web

from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Json
from bot.sandbox.fake_slack.seed import acme, globex
from bot.sandbox.fake_slack.server import FakeSlack
from bot.sandbox.fake_slack.web_api import read_arguments
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_USER_ID

CLIENT_ID: Final = "111.222"
CODE_LIFETIME_S: Final = 600.0


@dataclass(slots=True)
class _Code:
    team: str
    by: str
    redirect_uri: str | None
    at: float
    used: bool = False
    org_wide: bool = False


@dataclass(slots=True)
class _Token:
    team: str
    expires_at: float | None = None
    revoked: bool = False


class OAuthGrants:
    """The codes and tokens of one app. `rotates_s`: tokens expire after so many seconds and are refreshed."""

    def __init__(
        self, *, client_secret: str, redirect_url: str, scopes: str, wall: Callable[[], float]
    ) -> None:
        self.client_secret = client_secret
        self.redirect_url = redirect_url
        self.rotates_s: float | None = None
        self.tokens: dict[str, _Token] = {}
        self._scopes = scopes
        self._wall = wall
        self._codes: dict[str, _Code] = {}
        self._refresh_teams: dict[str, str] = {}

    def code(self, team: str, by: str, redirect_uri: str | None, *, org_wide: bool = False) -> str:
        """Issue a code, as after a user has allowed the installation."""
        code = f"{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._codes[code] = _Code(team, by, redirect_uri, self._wall(), org_wide=org_wide)
        return code

    def exchange(self, args: Json, teams: Mapping[str, FakeSlack]) -> Json:
        """Return the response of `oauth.v2.access`."""
        if args.get("client_id") != CLIENT_ID:
            raise FakeSlackError("invalid_client_id")
        if args.get("client_secret") != self.client_secret:
            raise FakeSlackError("bad_client_secret")
        if args.get("grant_type") == "refresh_token":
            team = self._refresh_teams.pop(str(args.get("refresh_token")), None)
            if team is None:
                raise FakeSlackError("invalid_refresh_token")
            return self._issue(teams[team].workspace.team_id, teams[team].workspace.team_name)
        code = self._codes.get(str(args.get("code")))
        if code is None or self._wall() - code.at > CODE_LIFETIME_S:
            raise FakeSlackError("invalid_code")
        if code.used:
            raise FakeSlackError("code_already_used")
        if args.get("redirect_uri", None) != code.redirect_uri:
            raise FakeSlackError("bad_redirect_uri")
        code.used = True
        response = self._issue(code.team, teams[code.team].workspace.team_name)
        response["authed_user"] = {"id": code.by}
        if code.org_wide:
            response |= {
                "team": None,
                "enterprise": {"id": "E0ACME", "name": "Acme"},
                "is_enterprise_install": True,
            }
        return response

    def team_of(self, token: object) -> str:
        """Return the team of a token; raise what Slack refuses an invalid one with."""
        if not token:
            raise FakeSlackError("not_authed")
        record = self.tokens.get(str(token))
        if record is None:
            raise FakeSlackError("invalid_auth")
        if record.revoked:
            raise FakeSlackError("token_revoked")
        if record.expires_at is not None and record.expires_at < self._wall():
            raise FakeSlackError("token_expired")
        return record.team

    def revoke(self, token: str) -> None:
        """Revoke a token."""
        self.tokens[token].revoked = True

    def revoke_all(self, team: str) -> None:
        """Revoke all tokens of a workspace."""
        for token in self.tokens.values():
            token.revoked = token.revoked or token.team == team
        self._refresh_teams = {token: owner for token, owner in self._refresh_teams.items() if owner != team}

    def _issue(self, team: str, name: str) -> Json:
        token = f"xoxb-{secrets.token_hex(20)}"
        response: Json = {
            "access_token": token,
            "token_type": "bot",
            "scope": self._scopes,
            "bot_user_id": BOT_USER_ID,
            "app_id": APP_ID,
            "team": {"id": team, "name": name},
            "enterprise": None,
            "is_enterprise_install": False,
        }
        expires_at = None
        if self.rotates_s is not None:
            expires_at = self._wall() + self.rotates_s
            refresh = f"xoxe-1-{secrets.token_hex(20)}"
            self._refresh_teams[refresh] = team
            response |= {"refresh_token": refresh, "expires_in": int(self.rotates_s)}
        self.tokens[token] = _Token(team, expires_at)
        return response


class MultiWorkspaceServer:
    """Acme and Globex on a free port of 127.0.0.1, for the time of an `async with`."""

    def __init__(
        self,
        *,
        manifest: Mapping[str, Any],
        redirect_url: str = "https://governor.example/slack/oauth_redirect",
        bot_url: str | None = None,
        client_secret: str = "sandbox-client-secret",  # noqa: S107 - opens nothing but the fake Slack
        signing_secret: str = "sandbox-signing-secret",  # noqa: S107 - likewise
        wall: Callable[[], float] = time.time,
    ) -> None:
        slacks = [
            FakeSlack(manifest=manifest, bot_token="", signing_secret=signing_secret, make_workspace=make)
            for make in (acme, globex)
        ]
        self.teams = {slack.workspace.team_id: slack for slack in slacks}
        scopes = ",".join(slacks[0].platform.scopes)
        self.grants = OAuthGrants(
            client_secret=client_secret, redirect_url=redirect_url, scopes=scopes, wall=wall
        )
        self.signing_secret = signing_secret
        self.bot_token = ""
        self.base_url = ""
        self.bot_url = bot_url
        self._runner: web.AppRunner | None = None

    @property
    def bot_url(self) -> str | None:
        """Where the bot listens."""
        return next(iter(self.teams.values())).bot_url

    @bot_url.setter
    def bot_url(self, url: str | None) -> None:
        for team in self.teams.values():
            team.bot_url = url

    @property
    def api_url(self) -> str:
        """The base URL for Web API clients, ending in a slash."""
        return f"{self.base_url}/slack-api/"

    @property
    def authorize_url(self) -> str:
        """The URL at which an installation starts."""
        return f"{self.base_url}/oauth/v2/authorize"

    def team(self, team_id: str) -> FakeSlack:
        """Return one of the workspaces."""
        return self.teams[team_id]

    def install(self, team_id: str) -> str:
        """Issue a token as if it were copied from the app's page."""
        token = f"xoxb-{secrets.token_hex(20)}"
        self.grants.tokens[token] = _Token(team_id)
        return token

    def allow(self, url: str, *, team: str, by: str, org_wide: bool = False) -> str:
        """Press *Allow* on the page at `url`; return where Slack redirects the browser."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if query.get("client_id") != CLIENT_ID:
            raise FakeSlackError("invalid_client_id")
        redirect_uri = query.get("redirect_uri")
        if redirect_uri not in {None, self.grants.redirect_url}:
            raise FakeSlackError("bad_redirect_uri")
        code = self.grants.code(team, by, redirect_uri, org_wide=org_wide)
        return f"{self.grants.redirect_url}?{urlencode({'code': code, 'state': query.get('state', '')})}"

    async def uninstall(self, team_id: str) -> None:
        """Uninstall the app from a workspace: revoke its tokens and notify the bot."""
        self.grants.revoke_all(team_id)
        events = self.teams[team_id].events
        events.send({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [BOT_USER_ID]}})
        events.send({"type": "app_uninstalled"})
        await self.teams[team_id].wait_until_delivered()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/slack-api/{method}", self._answer)
        app.router.add_get("/oauth/v2/authorize", self._authorize)
        for team_id, team in self.teams.items():
            subapp = web.Application()
            team.add_routes(subapp)
            app.add_subapp(f"/{team_id}", subapp)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        for team_id, team in self.teams.items():
            team.base_url = f"{self.base_url}/{team_id}"
            team.sender.session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop serving; do nothing if already closed."""
        for team in self.teams.values():
            await team.sender.close()
            if team.sender.session is not None:
                await team.sender.session.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method, args = request.match_info["method"], await read_arguments(request)
        try:
            if method == "oauth.v2.access":
                return web.json_response({"ok": True, **self.grants.exchange(args, self.teams)})
            token = str(args.get("token") or "")
            team = self.teams[self.grants.team_of(token)]
            if method == "auth.revoke":
                self.grants.revoke(token)
                return web.json_response({"ok": True, "revoked": True})
        except FakeSlackError as refusal:
            return web.json_response(refusal.answer())
        # The token is checked above; two tokens of one workspace may be valid at the same time.
        team.web_api.token = token
        return await team.web_api.answer(request)

    async def _authorize(self, request: web.Request) -> web.Response:
        """Show a page with a link back to the bot for each workspace."""
        try:
            links = {
                team.workspace.team_name: self.allow(
                    str(request.url), team=id_, by=next(iter(team.workspace.users))
                )
                for id_, team in self.teams.items()
            }
        except FakeSlackError as refusal:
            return web.Response(status=400, text=refusal.code)
        denied = urlencode({"error": "access_denied", "state": request.query.get("state", "")})
        links["Cancel"] = f"{self.grants.redirect_url}?{denied}"
        items = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a>' for name, url in links.items())
        return web.Response(text=f"<ul>{items}</ul>", content_type="text/html")
