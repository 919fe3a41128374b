"""Looks up channels as `governor doctor` needs them: in Slack's list, which is long in a large workspace.

Slack lets nobody read more than about twenty pages of the list a minute, so a channel that the policies call
by its id is asked for by itself where the list does not have it soon.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.channels import PAGE
from bot.slack.webapi.errors import RateLimitedError, SlackRefusedError, translate_slack_errors
from bot.slack.webapi.pages import next_cursor, page_of

MANY_PAGES = 5
"""In a workspace whose list has more pages than this, ids are recommended."""


@dataclass(slots=True)
class FoundChannels:
    """The channels that were found, by address, and how much of Slack's list was read for that."""

    channels: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pages: int = 0
    rows: int = 0
    is_whole: bool = False
    unread_ids: set[str] = field(default_factory=set)

    def is_unknown(self, address: str) -> bool:
        """Return whether nobody can say whether the channel exists: Slack did not let us look so far."""
        if address in self.channels:
            return False
        return not self.is_whole if address.startswith("#") else address in self.unread_ids


async def find_channels(client: AsyncWebClient, addresses: Collection[str]) -> FoundChannels:
    """Look up channels by `#name` or id; raises `SlackError` where Slack cannot be asked at all."""
    found, wanted = FoundChannels(), set(addresses)
    await _read_list(client, wanted, found, exclude_archived=True)
    missing_names = {address for address in wanted - found.channels.keys() if address.startswith("#")}
    if missing_names and found.is_whole and found.pages <= MANY_PAGES:
        # Whether a channel is archived is worth one more reading where the list is short.
        archived = FoundChannels()
        await _read_list(client, missing_names, archived, exclude_archived=False)
        found.channels |= archived.channels
    await _ask_for_ids(client, wanted - found.channels.keys(), found)
    return found


async def _read_list(
    client: AsyncWebClient, wanted: Collection[str], found: FoundChannels, *, exclude_archived: bool
) -> None:
    """Read pages until all channels are found, the list ends, or Slack wants no more calls."""
    cursor = ""
    while not found.channels.keys() >= set(wanted):
        try:
            async with translate_slack_errors():
                page = page_of(
                    await client.conversations_list(
                        types="public_channel,private_channel",
                        exclude_archived=exclude_archived,
                        limit=PAGE,
                        cursor=cursor,
                    )
                )
        except RateLimitedError:
            if not found.pages:
                raise
            return
        found.pages += 1
        found.rows += len(page["channels"])
        for channel in page["channels"]:
            for address in {f"#{channel['name']}", str(channel["id"])}.intersection(wanted):
                found.channels.setdefault(address, channel)
        cursor = next_cursor(page, cursor)
        if not cursor:
            found.is_whole = True
            return


async def _ask_for_ids(client: AsyncWebClient, missing: Collection[str], found: FoundChannels) -> None:
    """Ask for each channel that is called by its id, unless the whole list showed that it is not there."""
    ids = sorted(address for address in missing if not address.startswith("#"))
    for position, id_ in enumerate(ids):
        try:
            async with translate_slack_errors():
                found.channels[id_] = (await client.conversations_info(channel=id_))["channel"]
        except SlackRefusedError:
            continue
        except RateLimitedError:
            found.unread_ids = set(ids[position:])
            return
