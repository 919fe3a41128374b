"""Tokens that expire, where the app has token rotation on: each is exchanged long before its end.

https://docs.slack.dev/authentication/using-token-rotation
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.oauth.flow import OAuthCredentials
from bot.slack.webapi.errors import SlackError, translate_slack_errors
from bot.store.installations import Installation, Installations

log = structlog.get_logger(__name__)

AHEAD = timedelta(hours=2)
"""How long before its end a token is exchanged; Slack gives one twelve hours."""


class TokenRotation:
    """Exchanges tokens. One replica at a time calls `turn`: a refresh token is good for one exchange."""

    def __init__(
        self,
        credentials: OAuthCredentials,
        client: AsyncWebClient,
        installations: Installations,
        now: Callable[[], datetime],
        on_renewed: Callable[[str], None],
    ) -> None:
        self._credentials = credentials
        self._client = client
        self._installations = installations
        self._now = now
        self._on_renewed = on_renewed

    async def turn(self) -> None:
        """Exchange what ends soon; what fails is tried again at the next turn."""
        for installation in await self._installations.expiring(AHEAD):
            try:
                await self._exchange(installation)
            except SlackError as fault:
                log.warning("token_not_renewed", team=installation.team_id, error=fault.error)

    async def _exchange(self, old: Installation) -> None:
        async with translate_slack_errors():
            grant = {"grant_type": "refresh_token", "refresh_token": old.refresh_token or ""}
            answer = await self._credentials.exchange(self._client, grant)
        ends_at = self._now() + timedelta(seconds=int(answer["expires_in"]))
        token, refresh = str(answer["access_token"]), str(answer["refresh_token"])
        if await self._installations.renew(old, token, refresh, ends_at):
            self._on_renewed(old.team_id)
            log.info("token_renewed", team=old.team_id)
