"""What pace and reliability cost each other, in lines. Pure."""

from collections.abc import Sequence

from bot.formatting import budget_text, counted, duration_text
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, join, markup
from bot.velocity.budget_cost import MOST_CARRIED, BudgetCost, KindCost
from bot.velocity.freeze_cost import FreezeCost
from bot.velocity.statistics import DurationQuantiles


def freeze_lines(cost: FreezeCost) -> list[Markup]:
    """Return what freezes cost the pace: how long, what waited, who was let through."""
    frozen = Markup("Never frozen.")
    if cost.freezes:
        often = counted(cost.freezes, "freeze")
        frozen = markup("Frozen for {} in {}.", bold(duration_text(cost.frozen_for, largest="h")), often)
    return [line for line in (frozen, _held(cost.held), _exemptions(cost), _past(cost)) if line]


def budget_lines(cost: BudgetCost) -> list[Markup]:
    """Return what deployments cost a budget: each, by size and kind, and how many more it carries."""
    each, lines = cost.per_deployment, []
    if each.p50 is not None and each.p90 is not None:
        spent = markup(
            "Each spent {} of the {} budget at the median, {} at p90, {} on average (n {}).",
            budget_text(each.p50), cost.slo, budget_text(each.p90), budget_text(each.mean), each.n,
        )  # fmt: skip
        lines = [spent, _kinds("By size", cost.by_size), _kinds("By kind", cost.by_kind), makers_text(cost)]
    return [line for line in (*lines, _carried(cost)) if line]


def makers_text(cost: BudgetCost) -> Markup:
    """Return what agents' deployments spent and what people's did; empty where no agent deployed."""
    agents, people = cost.by_maker
    if not agents.n:
        return NOTHING
    return markup(
        "Agents spent {} of the {} budget in {}, people {} in {}.",
        bold(budget_text(agents.spent)), cost.slo, counted(agents.n, "deployment"),
        bold(budget_text(people.spent)), counted(people.n, "deployment"),
    )  # fmt: skip


def carries_text(cost: BudgetCost) -> Markup:
    """Return how many more deployments the budget carries; empty where that cannot be said."""
    if cost.carries is None:
        return NOTHING
    number = f"{MOST_CARRIED:,} or more" if cost.carries >= MOST_CARRIED else f"{cost.carries:,}"
    noun = "deployment" if cost.carries == 1 else "deployments"
    return markup(
        "At this pace the budget carries {} more {} like the last {}.", bold(number), noun, cost.like_last
    )


def _carried(cost: BudgetCost) -> Markup:
    if cost.carries is None and cost.like_last and cost.remaining is not None:
        return markup("The last {} spent none of it.", counted(cost.like_last, "deployment"))
    return carries_text(cost)


def _kinds(title: str, kinds: Sequence[KindCost]) -> Markup:
    spent = [markup("{} ×{}, {} on average", kind.kind, kind.n, budget_text(kind.each)) for kind in kinds]
    return markup("{}: {}.", title, join(" · ", spent)) if spent else NOTHING


def _held(held: DurationQuantiles) -> Markup:
    if held.p50 is None or held.p90 is None:
        return NOTHING
    waited = f"{duration_text(held.p50)} at the median, {duration_text(held.p90)} at p90"
    return markup("{} waited for a freeze to end: {}.", counted(held.n, "change"), waited)


def _exemptions(cost: FreezeCost) -> Markup:
    asked = ""
    if cost.asked:
        answered = f", after {duration_text(cost.answered.p50)} at the median" if cost.answered.p50 else ""
        number = counted(cost.asked, "exemption")
        asked = f"{number} asked for: {cost.granted} granted, {cost.declined} declined{answered}."
    given = f"{counted(cost.exemptions, 'exemption')} in all, {cost.used} used." if cost.exemptions else ""
    return join(" ", [asked, given])


def _past(cost: FreezeCost) -> Markup:
    past = f"{counted(cost.bypassed, 'deployment')} went past a freeze." if cost.bypassed else ""
    kind = f"{counted(cost.passed_by_kind, 'change')} passed by kind." if cost.passed_by_kind else ""
    return join(" ", [past, kind])
