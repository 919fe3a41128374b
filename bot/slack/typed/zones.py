"""Readers of times in the zone of the person who types."""

from collections.abc import Sequence
from datetime import datetime

from bot.slack.permissions import UNKNOWN_ZONE, People
from bot.slack.typed.ends import EndReader, names_a_time


async def end_reader(people: People, user: str, words: Sequence[str], now: datetime) -> EndReader:
    """Return a reader of ends; Slack is asked for the zone only where the words name a time of day."""
    zone = await people.zone(user) if names_a_time(words) else UNKNOWN_ZONE
    return EndReader(now, zone.tz, zone.name)
