"""The app's manifest, made from the commands and the Web API methods that the bot calls.

https://docs.slack.dev/reference/app-manifest
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bot.slack.addressed_messages import EVENTS as MESSAGE_EVENTS
from bot.slack.command_reference import COMMANDS
from bot.slack.incidents.shortcuts import MANIFEST_SHORTCUTS
from bot.slack.incidents.timeline_pins import EVENTS as PIN_EVENTS
from bot.slack.uninstall import EVENTS as UNINSTALL_EVENTS

NAME = "Governor"
DESCRIPTION = "Error budgets that decide when to ship"
LONG_DESCRIPTION = (
    "Governor watches how fast each service spends its error budget. It warns while there is time, freezes "
    "a service whose budget is spent, opens it again when the budget has recovered, and answers whether a "
    "change may ship. It reads no messages but those sent to it, and its own, which it looks for when a "
    "delivery was cut off."
)
COLOR = "#1f3d4d"
_DOMAIN = re.compile(r"(?![.-])[-a-z0-9.]{1,254}[a-z0-9]")
_PREFIX = re.compile(r"[a-z0-9_-]{0,20}")

SCOPES: dict[str, tuple[str, ...]] = {
    "apps.connections.open": (),
    "auth.revoke": (),
    "auth.test": (),
    "blocks.validate": (),
    "chat.getPermalink": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.unfurl": ("links:write",),
    "chat.update": ("chat:write",),
    "canvases.edit": ("canvases:write",),
    "conversations.archive": ("channels:manage", "groups:write"),
    "conversations.canvases.create": ("canvases:write",),
    "conversations.create": ("channels:manage", "groups:write"),
    "conversations.history": ("channels:history", "groups:history", "im:history"),
    "conversations.info": ("channels:read", "groups:read"),
    "conversations.invite": ("channels:manage", "groups:write"),
    "conversations.join": ("channels:join",),
    "conversations.list": ("channels:read", "groups:read"),
    "conversations.members": ("channels:read", "groups:read"),
    "conversations.open": ("im:write",),
    "conversations.replies": ("channels:history", "groups:history"),
    "conversations.setPurpose": ("channels:manage", "groups:write"),
    "conversations.setTopic": ("channels:manage", "groups:write"),
    "entity.presentDetails": (),
    "files.completeUploadExternal": ("files:write",),
    "files.getUploadURLExternal": ("files:write",),
    "oauth.v2.access": (),
    "pins.add": ("pins:write",),
    "usergroups.list": ("usergroups:read",),
    "users.conversations": ("channels:read", "groups:read"),
    "users.info": ("users:read",),
    "views.open": (),
    "views.publish": (),
}
"""The Web API methods that the bot calls, and the bot scopes that they need for public and private channels
and for direct messages."""

LINK_METHODS = frozenset({"chat.unfurl", "entity.presentDetails"})
"""Those that only an app with a public address calls."""

LINK_EVENTS: Mapping[str, tuple[str, ...]] = {"link_shared": ("links:read",), "entity_details_requested": ()}
"""The events that only an app with a public address listens to, and the scope that each needs."""

EVENTS = ("app_home_opened", *UNINSTALL_EVENTS)
"""The subscribed events that need no scope."""


def bot_scopes(*, links: bool = False) -> list[str]:
    """Return the bot scopes that are needed: those of the methods and events, and of slash commands.

    With `links`, also those that links below the bot's public address need.
    """
    methods = [scopes for method, scopes in SCOPES.items() if links or method not in LINK_METHODS]
    needed = [*methods, *PIN_EVENTS.values(), *MESSAGE_EVENTS.values()]
    needed += LINK_EVENTS.values() if links else ()
    return sorted({"commands", *(scope for scopes in needed for scope in scopes)})


def link_domain(url: str | None) -> str | None:
    """Return the domain whose links Slack tells the bot of; None where it cannot be such a domain."""
    parts = urlsplit(url or "")
    domain = parts.hostname or ""
    return domain if parts.scheme == "https" and _DOMAIN.fullmatch(domain) else None


def manifest(url: str | None, *, socket: bool = False, prefix: str = "") -> dict[str, Any]:
    """Return the manifest for an app that Slack reaches at `url`, or that uses Socket Mode (`socket`).

    Links below `url` are shown in Slack; Socket Mode needs it for nothing else, so that it may be None.
    `prefix` goes before each command's name. Raises ValueError if neither is given, or Slack does not take
    the address or the prefix.
    """
    if socket:
        endpoint: dict[str, str] = {}
    elif url and urlsplit(url).scheme == "https" and urlsplit(url).hostname:
        endpoint = {"url": f"{url.rstrip('/').removesuffix('/slack/events')}/slack/events"}
    else:
        mistake = f"`{url}` is not an https:// address. " if url else ""
        raise ValueError(
            f"{mistake}Write --url with the address where Slack reaches the bot, such as "
            "https://governor.example.com, or --socket for Socket Mode, which needs none"
        )
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("a prefix has at most 20 lower-case letters, digits, - and _")
    commands = [
        {
            "command": f"/{prefix}{command.name}",
            **endpoint,
            "description": command.description,
            "usage_hint": command.hint,
            "should_escape": command.mentions,
        }
        for command in COMMANDS
    ]
    request_url: dict[str, Any] = {"request_url": endpoint["url"]} if endpoint else {}
    domain = link_domain(url)
    links: dict[str, Any] = {"unfurl_domains": [domain]} if domain else {}
    events = [*EVENTS, *PIN_EVENTS, *MESSAGE_EVENTS, *(LINK_EVENTS if domain else ())]
    interactivity = {"is_enabled": True} | request_url
    redirect_url = endpoint["url"].replace("/slack/events", "/slack/oauth_redirect") if endpoint else None
    redirects: dict[str, Any] = {"redirect_urls": [redirect_url]} if redirect_url else {}
    return {
        "display_information": {
            "name": NAME,
            "description": DESCRIPTION,
            "long_description": LONG_DESCRIPTION,
            "background_color": COLOR,
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": NAME, "always_online": True},
            "shortcuts": [dict(shortcut) for shortcut in MANIFEST_SHORTCUTS],
            "slash_commands": commands,
            **links,
        },
        "oauth_config": redirects | {"scopes": {"bot": bot_scopes(links=bool(domain))}},
        "settings": {
            "event_subscriptions": request_url | {"bot_events": events},
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": False,
        },
    }
