"""Phrases about budgets that are hardly touched, and what follows by the policy. Pure."""

from bot.formatting import listed, percent_text
from bot.freezes.spare import Spare
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, code, join, markup


def spare_text(spare: Spare | None) -> Markup:
    """Return that there is room to go faster, and what follows by the policy; nothing where there is none."""
    if spare is None:
        return NOTHING
    least = percent_text(spare.least)
    room = markup(
        "Room to go faster: with a probability of 90%, at least {} of the budget stays unspent.", least
    )
    follows = []
    if spare.ramp_steps:
        steps = " → ".join(percent_text(step, plain=True) for step in spare.ramp_steps)
        follows.append(markup("{} takes the steps {}", code("/flag ramp FLAG every 30m"), steps))
    if spare.unapproved:
        flags = Markup(listed([str(code(flag)) for flag in spare.unapproved]))
        follows.append(
            markup("{} {} no second approval", flags, "need" if len(spare.unapproved) > 1 else "needs")
        )
    if not follows:
        return join(" ", [room, markup("The policy {} names nothing that follows.", spare.policy)])
    return join(" ", [room, markup("By the policy {}: {}.", spare.policy, join(", and ", follows))])
