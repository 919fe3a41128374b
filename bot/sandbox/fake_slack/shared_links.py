"""The events about links that an app is sent: that one was shared, and that its details were opened.

https://docs.slack.dev/reference/events/link_shared, https://docs.slack.dev/messaging/work-objects-implementation
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from bot.sandbox.fake_slack.model import Json, Message

COMPOSER: Final = "composer"

_URL: Final = re.compile(r"https?://[^\s<>|]+")


def app_links(text: str, manifest: Mapping[str, Any]) -> list[Json]:
    """Return the links in a text that lead to the domains of the app, or below them."""
    domains = manifest.get("features", {}).get("unfurl_domains", ())
    return [
        {"domain": host, "url": url}
        for url in _URL.findall(text)
        if (host := urlsplit(url).hostname)
        and any(host == domain or host.endswith(f".{domain}") for domain in domains)
    ]


def link_shared(message: Message, channel_id: str, source: str, links: Sequence[Json]) -> Json:
    """Return the event of links in a message, sent or (`source` is `composer`) still being written."""
    return {
        "type": "link_shared",
        "channel": channel_id,
        "is_bot_user_member": True,
        "user": message.user,
        "message_ts": message.unfurl_id if source == COMPOSER else message.ts,
        "unfurl_id": message.unfurl_id,
        "source": source,
        "links": list(links),
    }


def details_requested(entity: Json, url: str, user: str, trigger_id: str) -> Json:
    """Return the event of a person who opens the details of an entity below the link `url`."""
    return {
        "type": "entity_details_requested",
        "user": user,
        "external_ref": entity["external_ref"],
        "entity_url": entity["url"],
        "app_unfurl_url": url,
        "link": {"url": entity["url"], "domain": urlsplit(url).hostname},
        "trigger_id": trigger_id,
        "user_locale": "en-US",
    }
