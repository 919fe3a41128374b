"""Installing in several Slack workspaces, wired: the flow, what is kept of it, tokens that are renewed."""

import asyncio
from urllib.parse import urljoin

import structlog
from aiohttp import web

from bot.clock import Clock
from bot.settings import Settings
from bot.slack.manifest import link_domain
from bot.slack.oauth.flow import InstallEndpoint, InstallFlow, OAuthCredentials
from bot.slack.oauth.token_rotation import TokenRotation
from bot.slack.webapi.clients import Clients
from bot.store.database import Database
from bot.store.encryption import BadKeyError, TokenCipher
from bot.store.installations import Installations
from bot.store.leases import Lease

log = structlog.get_logger(__name__)


def open_installations(settings: Settings, database: Database, clock: Clock) -> Installations | None:
    """Return the store of installations, None without an install flow; raises `BadKeyError`."""
    return Installations(database, _seal(settings), clock.now) if settings.may_be_installed else None


class SlackInstallations:
    """All parts of it. `renew`, called every minute, keeps tokens alive on the replica that has the lease."""

    def __init__(
        self,
        settings: Settings,
        *,
        installations: Installations,
        clients: Clients,
        clock: Clock,
        lease: Lease,
    ) -> None:
        credentials = OAuthCredentials(
            client_id=settings.slack_client_id or "",
            client_secret=settings.slack_client_secret.get_secret_value()
            if settings.slack_client_secret
            else "",
            redirect_url=settings.slack_redirect_url,
            authorize_url=urljoin(settings.slack_api_url, "/oauth/v2/authorize"),
        )
        self._lease = lease
        self._flow = InstallFlow(
            credentials,
            clients.without_token(),
            installations=installations,
            cipher=_seal(settings),
            now=clock.now,
            on_installed=clients.invalidate,
            links=link_domain(settings.governor_url) is not None,
        )
        self._rotation = TokenRotation(
            credentials, clients.without_token(), installations, clock.now, clients.invalidate
        )
        self._renewing = asyncio.Lock()

    def add_routes(self, app: web.Application) -> None:
        """Add `/slack/install` and `/slack/oauth_redirect`."""
        InstallEndpoint(self._flow).add_routes(app)

    async def renew(self) -> None:
        """Renew the tokens that end soon, if this replica is the one to do so."""
        if await self._lease.acquire():
            async with self._renewing:
                await self._rotation.rotate()


def _seal(settings: Settings) -> TokenCipher:
    key = settings.governor_encryption_key
    try:
        return TokenCipher(key.get_secret_value() if key else "")
    except BadKeyError as error:
        raise BadKeyError(f"GOVERNOR_ENCRYPTION_KEY is {error}") from error
