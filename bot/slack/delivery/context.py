"""What the delivery queues of a Slack workspace's channels share: timing, rate limits, retries, clients."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bot.clock import Clock
from bot.slack.delivery.rate_limits import ChannelRateLimit, DeliveryMetrics, WorkspaceRateLimit
from bot.slack.delivery.sender import MessageSender
from bot.slack.webapi.channels import ChannelDirectory
from bot.slack.webapi.edit_rate_limits import EditRateLimit
from bot.slack.webapi.user_groups import UserGroups
from bot.store.database import Database
from bot.store.outbox import OutboxMessage

Notice = Callable[[OutboxMessage, str], Sequence[OutboxMessage]]
"""Returns the messages that report that a message failed with an error, and where they go; pure."""


@dataclass(frozen=True, slots=True)
class DeliveryTiming:
    """Rate limits, timeouts and retry backoff; all in real seconds, whatever the injected clock says.

    `interval_s` is the time between the end of one attempt and the next in the same channel; `settle_s` is
    how long a post whose outcome is unknown has to appear in the history before it is looked up. A retry
    waits between `backoff_s` and `backoff_limit_s` (random, exponential), `not_permitted_s` if the app's
    credentials or scopes are at fault. `most_a_minute` holds for all channels of a Slack workspace together,
    in each `minute_s`; it leaves room for what incidents post without the outbox, such as their cards.
    """

    interval_s: float = 1.0
    settle_s: float = 3.0
    call_timeout_s: float = 10.0
    backoff_s: float = 0.5
    backoff_limit_s: float = 60.0
    not_permitted_s: float = 60.0
    poll_s: float = 2.0
    most_a_minute: int = 285
    # A little more than Slack's, whose clock may run faster.
    minute_s: float = 60.1


class ShuttingDownError(Exception):
    """The dispatcher is shutting down: begin nothing new."""


class NoTurnError(ShuttingDownError):
    """The workspace's limit allows no post soon: another replica may send the message earlier."""


class LeaseLostError(ShuttingDownError):
    """Another replica has, or may have, the channel's lease: it goes on from the row."""


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What all channel queues of a Slack workspace share.

    `sleep` waits some seconds or raises `ShuttingDownError`. `bulk_slots` limits how many bulk messages are
    sent at once, so that others need not wait behind hundreds of them. `lease_left_s` returns for how many
    seconds this replica certainly holds a channel's lease.
    """

    database: Database
    clock: Clock
    sender: MessageSender
    channels: ChannelDirectory
    groups: UserGroups
    timing: DeliveryTiming
    channel_rate_limit: ChannelRateLimit
    workspace_rate_limit: WorkspaceRateLimit
    edit_rate_limit: EditRateLimit
    bulk_slots: asyncio.Semaphore
    metrics: DeliveryMetrics
    notice: Notice
    sleep: Callable[[float], Awaitable[None]]
    lease_left_s: Callable[[str], float]
