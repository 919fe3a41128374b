"""Who may change freezes by a command."""

from collections.abc import Sequence

from bot.slack.arguments import UsageError
from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.interactions import Interaction
from bot.slack.permissions import Allowed, People, refusal


async def require_permission(
    people: People, interaction: Interaction, entries: Sequence[str], action: str
) -> str:
    """Return the idempotency key if the person may do this; raises `UsageError` with who may."""
    permission = await people.check_permission(interaction.user, entries)
    if not isinstance(permission, Allowed):
        raise UsageError(refusal(permission, action))
    if interaction.request is None:
        raise UsageError(Markup("Type the command to change something."))
    return interaction.request
