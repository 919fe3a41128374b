"""Token rotation: if the app has it on, tokens expire and are exchanged well before.

https://docs.slack.dev/authentication/using-token-rotation
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.oauth.flow import OAuthCredentials
from bot.slack.webapi.errors import OutcomeUnknownError, RateLimitedError, SlackError, translate_slack_errors
from bot.store.installations import Installation, Installations
from bot.store.item_failures import ItemFailures

log = structlog.get_logger(__name__)

EXCHANGE_BEFORE = timedelta(hours=2)
"""How long before its expiry a token is exchanged; Slack's tokens last twelve hours."""


class TokenRotation:
    """Exchanges tokens. One replica at a time calls `rotate`: a refresh token is valid for one exchange."""

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
        self._failures = ItemFailures("token_renewal_failed")

    async def rotate(self) -> None:
        """Exchange the tokens that expire soon; a failure is retried at a later call and delays no other."""
        for team in await self._installations.expiring_teams(EXCHANGE_BEFORE):
            with self._failures.isolate(team) as is_due:
                installation = await self._installations.find(team) if is_due else None
                if installation is not None:
                    await self._renew(installation)

    async def _renew(self, installation: Installation) -> None:
        try:
            await self._exchange(installation)
        except SlackError as error:
            log.warning("token_not_renewed", team=installation.team_id, error=error.error)
            after_s = error.retry_after_s if isinstance(error, RateLimitedError) else None
            self._failures.record(installation.team_id, error.error, after_s)

    async def _exchange(self, old: Installation) -> None:
        async with translate_slack_errors():
            grant = {"grant_type": "refresh_token", "refresh_token": old.refresh_token or ""}
            response = await self._credentials.exchange(self._client, grant)
        lifetime_s, refresh = response.get("expires_in"), response.get("refresh_token")
        if not isinstance(lifetime_s, int) or not isinstance(refresh, str):
            raise OutcomeUnknownError("incomplete_answer")
        expires_at = self._now() + timedelta(seconds=lifetime_s)
        token = str(response["access_token"])
        if await self._installations.renew(old, token, refresh, expires_at):
            self._on_renewed(old.team_id)
            log.info("token_renewed", team=old.team_id)
