"""One request of a person: carried out at the branch of their workspace, and answered whatever happens."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.slack.background_tasks import BackgroundTasks
from bot.slack.blockkit.blocks import code, markup
from bot.slack.interactions import Reply, say
from bot.slack.response_url import ReplyTarget
from bot.slack.workspace import SlackWorkspace, SlackWorkspaces, WorkspaceNotServedError

At = Callable[[SlackWorkspace], Awaitable[None]]
"""Work that is done at a branch."""


@dataclass(frozen=True, slots=True)
class SlackRequest:
    """What was asked for (`job`), where the answer goes, and the Slack workspace that it came from."""

    job: str
    address: ReplyTarget
    team: str | None


def begin(jobs: BackgroundTasks, branches: SlackWorkspaces, request: SlackRequest, work: At) -> None:
    """Start the work; where no branch serves the workspace, its people are told why, if it has the app."""

    async def at_branch() -> None:
        try:
            branch = await branches.of(request.team)
        except WorkspaceNotServedError as unserved:
            if unserved.text is not None:
                await branches.answering(request.team).send(request.address, say(unserved.text))
            return
        await work(branch)

    async def apologise(error_id: str) -> None:
        await branches.answering(request.team).send(request.address, sorry(error_id))

    jobs.start(request.job, at_branch, apologise)


def sorry(error_id: str) -> Reply:
    """Say that something failed, and what to name when asking for help."""
    return say(markup("That did not work. Try again; if it stays, name error {}.", code(error_id)))
