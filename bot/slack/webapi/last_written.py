"""When a person last wrote in a channel, by its history."""

from datetime import UTC, datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.pages import next_cursor, page_of

_PAGE = 200
_MOST_PAGES = 10
_BY_PEOPLE = frozenset({"", "file_share", "me_message", "thread_broadcast"})


async def last_written_at(client: AsyncWebClient, channel_id: str, since: datetime) -> datetime | None:
    """Return when a person last wrote in a channel or in a thread that began since then; None for nobody.

    Where the newest `_MOST_PAGES` pages are of bots only, nobody did.
    """
    cursor, oldest = "", f"{since.timestamp():.6f}"
    for _ in range(_MOST_PAGES):
        page = page_of(
            await client.conversations_history(channel=channel_id, limit=_PAGE, cursor=cursor, oldest=oldest)
        )
        times = [_time(message) for message in page["messages"] if _is_by_person(message)]
        if times:
            return max(times)
        cursor = next_cursor(page, cursor)
        if not cursor:
            break
    return None


def _is_by_person(message: dict[str, Any]) -> bool:
    """Return whether a person wrote the message, or somebody replied to it."""
    is_written = bool(message.get("user")) and str(message.get("subtype") or "") in _BY_PEOPLE
    return bool(message.get("reply_users")) or (is_written and not message.get("bot_id"))


def _time(message: dict[str, Any]) -> datetime:
    newest = max(float(message["ts"]), float(message.get("latest_reply") or 0.0))
    return datetime.fromtimestamp(newest, UTC)
