"""What all of people's requests have in common: they run after the acknowledgement and get a reply."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.slack.background_tasks import BackgroundTasks, Work
from bot.slack.blockkit.mrkdwn import code, markup
from bot.slack.interactions import Interaction, Query, Reply, say
from bot.slack.response_url import ReplyTarget
from bot.slack.workspace import SlackWorkspace, SlackWorkspaces, WorkspaceNotServedError
from bot.store.health.errors import unavailable_reason

MOST_KEY: Final = 200
"""The length to which a trigger id is cut to be an idempotency key."""

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SlackRequest:
    """A request by its name (for logs), where its reply goes, and the Slack workspace it came from."""

    name: str
    target: ReplyTarget
    team: str | None


def start(tasks: BackgroundTasks, workspaces: SlackWorkspaces, request: SlackRequest, work: Work) -> None:
    """Run the work in the background; if it fails, tell the person."""

    async def report_failure(error_id: str, error: Exception) -> None:
        await workspaces.responder(request.team).send(request.target, failure_reply(error_id, error))

    tasks.start(request.name, work, report_failure)


async def find_workspace(workspaces: SlackWorkspaces, request: SlackRequest) -> SlackWorkspace | None:
    """Return the request's workspace; if it is not served, tell the person why and return None."""
    try:
        return await workspaces.find(request.team)
    except WorkspaceNotServedError as error:
        if error.text is not None:
            await workspaces.responder(request.team).send(request.target, say(error.text))
        return None


def read_press(body: Body, action: Body) -> Interaction:
    """Return the press of a button, with its action id and value as the query; it may change something.

    A choice in a menu is read alike.
    """
    channel = body.get("channel") or {}
    value = (action.get("selected_option") or action).get("value")
    return Interaction(
        Query(str(action.get("action_id")), str(value)),
        user=str((body.get("user") or {}).get("id")),
        channel=str(channel.get("id") or ""),
        channel_name=str(channel.get("name") or ""),
        request=idempotency_key(body),
    )


def idempotency_key(body: Body) -> str:
    """Return the delivery's idempotency key: the same for a repeated one."""
    return str(body.get("trigger_id"))[:MOST_KEY]


def target_of(body: Body, interaction: Interaction) -> ReplyTarget:
    """Return where the reply to an interaction goes."""
    url = str(body.get("response_url") or "")
    return ReplyTarget(url, interaction.channel, interaction.user, _thread_of(body))


def _thread_of(body: Body) -> str:
    """Return the thread in which a button was pressed; empty outside one.

    A message that is shown in the channel as well is answered there: nobody knows where it was pressed.
    """
    message, container = body.get("message") or {}, body.get("container") or {}
    thread = str(message.get("thread_ts") or container.get("thread_ts") or "")
    is_in_channel = message.get("subtype") == "thread_broadcast" or thread == message.get("ts")
    return "" if is_in_channel else thread


def failure_reply(error_id: str, error: Exception) -> Reply:
    """Return the reply to a request that failed, with the id to find the error in the logs."""
    reason = unavailable_reason(error)
    if reason is not None:
        return say(markup("Not done: {}. Try again later; this is error {}.", reason, code(error_id)))
    return say(markup("That did not work. Try again; if it keeps failing, report error {}.", code(error_id)))
