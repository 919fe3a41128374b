"""Mentions of teams in messages: handles become mentions when a message is sent, for Slack alone has the ids.

They stand in the post alone: what is edited later mentions nobody. A message is never kept back for long
because Slack does not say what groups there are.
"""

from dataclasses import replace

import structlog

from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import Markup, join, markup, mention
from bot.slack.webapi.errors import NotPermittedError, SlackError
from bot.slack.webapi.user_groups import UserGroups
from bot.store.addresses import local
from bot.store.outbox import OutboxMessage

log = structlog.get_logger(__name__)


async def with_mentions(message: OutboxMessage, groups: UserGroups, *, is_last_try: bool) -> OutboxMessage:
    """Return the message with its mentions; raises `SlackError` if another try may find out more."""
    if not message.mentions:
        return message
    entries = [local(entry) for entry in message.mentions]
    try:
        teams = await groups.mentions(entries)
    except SlackError as error:
        if error.retryable and not is_last_try and not isinstance(error, NotPermittedError):
            raise
        log.warning("user_groups_unknown", error=error.error)
        teams = join(" ", [mention(entry) for entry in entries])
    line = markup("For {}", teams)
    body = list(message.blocks)
    if body:
        is_row_of_buttons = body[-1].get("type") == "actions"
        body.insert(len(body) - is_row_of_buttons, section(line))
    return replace(message, text=join("\n", [Markup(message.text), line]), blocks=body)
