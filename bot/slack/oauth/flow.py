"""The OAuth install flow: `/slack/install` leads to Slack, `/slack/oauth_redirect` receives the code.

It extends Bolt's OAuth flow by states that any replica can check and that are used once, installations in our
database, and pages that never respond with 5xx.

https://docs.slack.dev/authentication/installing-with-oauth
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp
import structlog
from aiohttp import web
from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions, AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth.installation_store import Installation as BoltInstallation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from sqlalchemy.exc import SQLAlchemyError

from bot.logs import hide
from bot.slack.manifest import bot_scopes
from bot.slack.oauth.pages import HEADERS, install_page, installed_page, refused_page
from bot.slack.webapi.errors import SlackError, slack_error, translate_slack_errors
from bot.store.encryption import TokenCipher, UndecryptableError
from bot.store.installations import Installation, Installations

log = structlog.get_logger(__name__)

INSTALL_PATH: Final = "/slack/install"
REDIRECT_PATH: Final = "/slack/oauth_redirect"
STATE_LIFETIME: Final = timedelta(minutes=10)
_STATE: Final = "state "
_MOST_TEAM: Final = 40


class InstallationRefusedError(Exception):
    """The app was not installed; `reason` is Slack's error code or ours."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class OAuthCredentials:
    """The app's OAuth credentials. With `redirect_url` None Slack takes the app's first redirect URL."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_url: str | None = None
    authorize_url: str = "https://slack.com/oauth/v2/authorize"

    async def exchange(self, client: AsyncWebClient, grant: Mapping[str, str]) -> AsyncSlackResponse:
        """Exchange a code or a refresh token for a token; raises what the client raises.

        slack_sdk's own method makes aiohttp warn of a deprecated class.
        """
        app = {"client_id": self.client_id, "client_secret": self.client_secret}
        return await client.api_call("oauth.v2.access", data=app | dict(grant))


class SignedStates(AsyncOAuthStateStore):
    """Encrypted states: issuing one stores nothing, using one is stored, so that it is used once."""

    def __init__(
        self, cipher: TokenCipher, installations: Installations, now: Callable[[], datetime]
    ) -> None:
        self._cipher = cipher
        self._installations = installations
        self._now = now

    async def async_issue(self, *_args: Any, **_kwargs: Any) -> str:
        """Return a new state."""
        return self._cipher.encrypt_with_time(f"{_STATE}{secrets.token_hex(16)}", self._now())

    async def async_consume(self, state: str) -> bool:
        """Return whether the state is ours, not expired, and used for the first time."""
        now = self._now()
        try:
            content = self._cipher.decrypt_recent(state, now, STATE_LIFETIME)
        except UndecryptableError:
            return False
        # Other encrypted values are no states.
        return content.startswith(_STATE) and await self._installations.use_state(state, now + STATE_LIFETIME)


class _Store(AsyncInstallationStore):
    """Saves the installations of Bolt's flow in our store; Bolt reads nothing from it."""

    def __init__(self, installations: Installations, now: Callable[[], datetime]) -> None:
        self._installations = installations
        self._now = now

    async def async_save(self, installation: BoltInstallation) -> None:
        """Save an installation."""
        now = self._now()
        expires_at_s = installation.bot_token_expires_at
        scopes = installation.bot_scopes or ()
        await self._installations.save(
            Installation(
                team_id=str(installation.team_id),
                team_name=installation.team_name or str(installation.team_id),
                bot_user_id=installation.bot_user_id or "",
                installed_by=installation.user_id,
                installed_at=now,
                bot_token=str(installation.bot_token),
                refresh_token=installation.bot_refresh_token,
                expires_at=datetime.fromtimestamp(expires_at_s, now.tzinfo) if expires_at_s else None,
                bot_id=installation.bot_id,
                app_id=installation.app_id,
                scopes=tuple(scopes.split(",") if isinstance(scopes, str) else scopes),
            )
        )


class InstallFlow(AsyncOAuthFlow):
    """Bolt's OAuth flow with our stores and pages.

    `client` needs no token; `on_installed` takes the workspace's id. With `links`, also the scopes are asked
    for that links below the bot's public address need.
    """

    def __init__(
        self,
        credentials: OAuthCredentials,
        client: AsyncWebClient,
        *,
        installations: Installations,
        cipher: TokenCipher,
        now: Callable[[], datetime],
        on_installed: Callable[[str], None],
        links: bool = False,
    ) -> None:
        self._credentials = credentials
        self._now = now
        self._on_installed = on_installed
        # Bolt's own logger would log codes.
        silent = logging.getLogger("slack_bolt.oauth")
        silent.setLevel(logging.CRITICAL + 1)
        settings = AsyncOAuthSettings(
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
            scopes=bot_scopes(links=links),
            user_scopes=[],
            redirect_uri=credentials.redirect_url,
            install_path=INSTALL_PATH,
            redirect_uri_path=REDIRECT_PATH,
            authorization_url=credentials.authorize_url,
            callback_options=AsyncCallbackOptions(self._succeeded, self._failed),
            installation_store=_Store(installations, now),
            state_store=SignedStates(cipher, installations, now),
            state_expiration_seconds=int(STATE_LIFETIME.total_seconds()),
            logger=silent,
        )
        super().__init__(client=client, logger=silent, settings=settings)

    async def build_install_page_html(self, url: str, request: AsyncBoltRequest) -> str:
        """Return our install page instead of Bolt's."""
        del request
        return install_page(url)

    async def build_authorize_url(self, state: str, request: AsyncBoltRequest) -> str:
        """Return Slack's authorization URL; Slack asks for the workspace itself."""
        del request
        url: str = self.settings.authorize_url_generator.generate(state=state)
        return url

    async def run_installation(self, code: str) -> BoltInstallation:
        """Exchange the code for a token; raises `InstallationRefusedError`."""
        try:
            async with translate_slack_errors():
                redirect = self._credentials.redirect_url
                grant = await self._credentials.exchange(
                    self.client, {"code": code} | ({"redirect_uri": redirect} if redirect else {})
                )
                team, enterprise = grant.get("team") or {}, grant.get("enterprise") or {}
                token = str(grant["access_token"])
                hide(filter(None, (token, grant.get("refresh_token"))))
                if grant.get("is_enterprise_install") or not team.get("id"):
                    await self.client.auth_revoke(token=token)
                    raise InstallationRefusedError("org_wide")
                identity = await self.client.auth_test(token=token)
        except SlackError as error:
            raise InstallationRefusedError("unreachable" if error.retryable else error.error) from error
        lifetime_s = grant.get("expires_in")
        return BoltInstallation(
            app_id=grant.get("app_id"),
            enterprise_id=enterprise.get("id"),
            team_id=str(team["id"])[:_MOST_TEAM],
            team_name=str(team.get("name") or "")[:200],
            bot_token=token,
            bot_id=identity.get("bot_id"),
            bot_user_id=str(grant.get("bot_user_id") or identity["user_id"]),
            bot_scopes=str(grant.get("scope") or ""),
            bot_refresh_token=grant.get("refresh_token"),
            bot_token_expires_at=int(self._now().timestamp()) + int(lifetime_s) if lifetime_s else None,
            user_id=str((grant.get("authed_user") or {}).get("id") or ""),
            is_enterprise_install=False,
        )

    async def finish(self, request: AsyncBoltRequest) -> BoltResponse:
        """Process the redirect back from Slack; return a page whatever happens."""
        try:
            return await self.handle_callback(request)
        except InstallationRefusedError as refused:
            reason = refused.reason
        except (SlackApiError, aiohttp.ClientError, TimeoutError) as error:
            reason = slack_error(error).error
        except (SQLAlchemyError, OSError) as error:
            log.warning("installation_not_kept", error=type(error).__name__)
            reason = "storage_error"
        return _refusal(reason)

    async def _succeeded(self, args: AsyncSuccessArgs) -> BoltResponse:
        installation = args.installation
        team_id = str(installation.team_id)
        log.info("workspace_installed", team=team_id, name=installation.team_name, by=installation.user_id)
        self._on_installed(team_id)
        page = installed_page(installation.team_name or team_id, installation.app_id, team_id)
        deleted_cookie = self.settings.state_utils.build_set_cookie_for_deletion()
        return BoltResponse(status=200, body=page, headers={**HEADERS, "Set-Cookie": [deleted_cookie]})

    async def _failed(self, args: AsyncFailureArgs) -> BoltResponse:
        return _refusal(args.reason)


class InstallEndpoint:
    """The two routes of the install flow, on aiohttp."""

    def __init__(self, flow: InstallFlow) -> None:
        self._flow = flow

    def add_routes(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(INSTALL_PATH, self._install, allow_head=False)
        app.router.add_get(REDIRECT_PATH, self._redirect, allow_head=False)

    async def _install(self, request: web.Request) -> web.Response:
        response = await self._flow.handle_installation(_to_bolt(request))
        response.headers.update({name.lower(): [str(value)] for name, value in HEADERS.items()})
        return _to_aiohttp(response)

    async def _redirect(self, request: web.Request) -> web.Response:
        return _to_aiohttp(await self._flow.finish(_to_bolt(request)))


def _to_bolt(request: web.Request) -> AsyncBoltRequest:
    return AsyncBoltRequest(body="", query=request.query_string, headers=dict(request.headers))


def _refusal(reason: str) -> BoltResponse:
    known = reason if reason.isidentifier() and len(reason) < 60 else "other"
    log.info("installation_refused", reason=known)
    return BoltResponse(status=400, body=refused_page(reason, INSTALL_PATH), headers=dict(HEADERS))


def _to_aiohttp(response: BoltResponse) -> web.Response:
    """Return Bolt's response as aiohttp's; Bolt's adapter loses SameSite and all cookies but one."""
    converted = web.Response(status=response.status, text=response.body)
    for name, values in response.headers.items():
        for value in values:
            if name.lower() == "content-type":
                converted.content_type, converted.charset = "text/html", "utf-8"
            elif name.lower() == "set-cookie":
                converted.headers.add("Set-Cookie", f"{value}; SameSite=Lax")
            else:
                converted.headers[name] = value
    return converted
