"""Slack, wired: clients, the app, the dispatcher of messages, installations, and Socket Mode."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError

from bot.app.installations import SlackInstallations
from bot.app.resources import Resources
from bot.metrics import Metrics
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.app import SlackApp
from bot.slack.capabilities import Capabilities
from bot.slack.command_prefix import CommandPrefix
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.slack.notices.welcome import WELCOME
from bot.slack.socket_mode import SocketMode
from bot.slack.typed.link_addresses import LinkAddresses
from bot.slack.uninstall import UninstallHandler
from bot.slack.webapi.client import ObserveCall
from bot.slack.webapi.clients import Clients
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.slack.webapi.errors import SlackError, slack_error
from bot.store.installations import Installations
from bot.store.outbox import OutboxMessage

log = structlog.get_logger(__name__)

_RETRY_S = 30.0
_BAD_TOKEN = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "not_allowed_token_type"}
)


class BadTokenError(Exception):
    """Slack does not accept the bot's token."""


class Slack:
    """All parts of Slack. The app is built by `build_app`, once the capabilities are there."""

    app: SlackApp

    def __init__(
        self,
        resources: Resources,
        announcer: FreezeAnnouncer,
        installations: Installations | None,
        timing: DeliveryTiming | None,
    ) -> None:
        settings = resources.settings
        self._settings = settings
        self._current = resources.current
        self._announcer = announcer
        self._installations = installations
        self._token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else ""
        self._problem: str | None = "not asked yet"
        self.prefix = CommandPrefix(settings.slack_command_prefix)
        self.addresses = LinkAddresses(settings.governor_url)
        self.clients = Clients(
            settings.slack_api_url,
            resources.session,
            single_token=self._token or None,
            installations=installations,
            current=resources.current,
            prefix=self.prefix,
            observe=_observe_calls(resources.metrics),
        )
        self.oauth: SlackInstallations | None = None
        if installations is not None:
            self.oauth = SlackInstallations(
                settings,
                installations=installations,
                clients=self.clients,
                clock=resources.clock,
                lease=resources.leases.lease("tokens"),
            )
        timing = timing or DeliveryTiming()
        self.edit_limits = EditRateLimits(timing.minute_s, lambda: resources.leases.replicas)
        self.dispatcher = OutboxDispatcher(
            resources.database,
            self.clients.for_team(None),
            resources.clock,
            notice=self._delivery_notice,
            registry=resources.metrics.registry,
            timing=timing,
            leases=resources.leases,
            client_of=self.clients.for_team,
            edit_limits=self.edit_limits,
        )

    def build_app(self, capabilities: Capabilities) -> None:
        """Build the app whose commands use the capabilities."""
        secret = self._settings.slack_signing_secret
        self.app = SlackApp(
            capabilities,
            self.clients,
            signing_secret=secret.get_secret_value() if secret else "",
            bot_token=self._token,
            uninstall=UninstallHandler(self._installations, self.clients) if self._installations else None,
        )

    async def connect(self) -> None:
        """Learn who the bot is, then open Socket Mode if there is an app token; raises `BadTokenError`."""
        await self._retry_until_answered(self.app.start, "SLACK_BOT_TOKEN")
        if self._settings.slack_app_token is not None:
            token = self._settings.slack_app_token.get_secret_value()
            socket = SocketMode(self.app.app, token, self.clients.without_token())
            await self._retry_until_answered(socket.run, "SLACK_APP_TOKEN")

    async def status(self) -> Mapping[str, object]:
        """Return what readiness says of Slack: the last problem, and who installed the app."""
        return {"problem": self._problem, "installed": await self.clients.installed_teams()}

    async def _retry_until_answered(self, ask: Callable[[], Awaitable[object]], variable: str) -> None:
        """Ask Slack until it answers; one that is away is asked again, a wrong token stops the bot."""
        while True:
            self._problem = None
            try:
                await ask()
            except (SlackError, SlackApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self._problem = slack_error(error).error
                if self._problem in _BAD_TOKEN:
                    raise BadTokenError(f"Slack does not accept {variable}: {self._problem}") from None
            else:
                return
            log.warning("slack_unreachable", problem=self._problem)
            await asyncio.sleep(_RETRY_S)

    def _delivery_notice(self, message: OutboxMessage, error: str) -> Sequence[OutboxMessage]:
        # Nobody needs to act where a person cannot be written to.
        if message.channel == self._current.workspace.announcements or message.event_type == WELCOME:
            return ()
        return [self._announcer.delivery_failed(message.channel, error)]


def _observe_calls(metrics: Metrics) -> ObserveCall:
    def observe(method: str, outcome: str, seconds: float) -> None:
        metrics.slack_calls.labels(method, outcome).inc()
        metrics.slack_call_seconds.observe(seconds)

    return observe
