"""Edits of posted messages. An edit may be repeated, so it is never claimed: whoever finds it makes it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from bot.slack.delivery.context import DeliveryContext
from bot.slack.webapi.edit_rate_limits import EditRateLimit
from bot.slack.webapi.errors import RateLimitedError, SlackRefusedError
from bot.slack.webapi.new_blocks import BLOCKS_ERRORS
from bot.store.outbox import OutboxMessage
from bot.store.threads import MessageLocation

log = structlog.get_logger(__name__)

WaitForPosts = Callable[[float], Awaitable[None]]
"""Waits some seconds, or until a post waits for the channel too."""


async def may_edit(limit: EditRateLimit, wait_for_posts: WaitForPosts) -> bool:
    """Take an edit from the workspace's limit; where there is none, wait for it and return False.

    The channel's queue is read again then: posts go first, and what comes can make the edit superfluous.
    """
    wait_s = limit.acquire()
    if wait_s > 0:
        await wait_for_posts(wait_s)
    return wait_s == 0


async def edit_message(
    context: DeliveryContext,
    place: MessageLocation,
    message: OutboxMessage,
    lease_left_s: Callable[[], float],
) -> bool:
    """Edit a message, as text if Slack refuses its blocks; return whether it takes the edit.

    The caller has taken the first edit from the workspace's limit. `lease_left_s` says how long an edit may
    take, or raises.
    """
    await context.sleep(context.channel_rate_limit.wait_s(place.channel_id))
    for blocks in (message.blocks, ()):
        try:
            await context.sender.edit(place, replace(message, blocks=blocks), lease_left_s)
        except RateLimitedError as limited:
            context.edit_rate_limit.pause(limited.retry_after_s)
            raise
        except SlackRefusedError as refusal:
            log.info("message_not_edited", channel=message.channel, error=refusal.error)
            if refusal.error not in BLOCKS_ERRORS or not blocks:
                break
            await context.edit_rate_limit.wait(context.sleep)
        else:
            return True
        finally:
            context.channel_rate_limit.record_attempt(place.channel_id)
    return False
