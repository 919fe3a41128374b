"""Posts events to their receivers: no redirects, little read of the answer, an end within 15 seconds."""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from bot.catalog.webhooks import WebhookEndpoint
from bot.texts import clean
from bot.webhooks.delivery import AttemptOutcome
from bot.webhooks.message import headers_of
from bot.webhooks.records import LONGEST_ANSWER

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)
_MOST_BYTES: Final = 4 * LONGEST_ANSWER
_LONGEST_WAIT: Final = timedelta(hours=6)


class WebhookClient:
    """Sends events through one session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, endpoint: WebhookEndpoint, id_: str, body: bytes, now: datetime) -> AttemptOutcome:
        """Post an event and return what that brought. Where it failed it may have arrived all the same."""
        headers = headers_of(id_, body, endpoint.secrets, now)
        try:
            async with self._session.post(
                endpoint.url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                return _outcome(response, await _beginning(response), now)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return AttemptOutcome(error=f"the receiver does not answer ({type(error).__name__})")


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """Return how the answer begins; where it breaks off, its status counts all the same."""
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) >= _MOST_BYTES:
                break
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    response.close()
    return clean(bytes(body[:_MOST_BYTES]).decode(errors="replace"))[:LONGEST_ANSWER]


def _outcome(response: aiohttp.ClientResponse, answer: str, now: datetime) -> AttemptOutcome:
    status = response.status
    if 200 <= status < 300:
        return AttemptOutcome(status, answer)
    if 300 <= status < 400:
        error = f"the receiver answers {status}: redirects are not followed"
    else:
        error = f"the receiver answers {status}"
    return AttemptOutcome(status, answer, error, _retry_after(response.headers.get("Retry-After", ""), now))


def _retry_after(text: str, now: datetime) -> timedelta | None:
    """Return how long a receiver asks to wait, in seconds or until a date; at most six hours."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), _LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(text) - now
    except (TypeError, ValueError):
        return None
    return min(max(wait, timedelta()), _LONGEST_WAIT)
