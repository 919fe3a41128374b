"""The model of `whenSpare` in an ErrorBudgetPolicy: what follows while a budget is hardly touched."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from bot.policy.documents.fields import Share
from bot.policy.documents.model import BrokenRule, Model

_MOST_STEPS = 20


class WhenSpareSpec(Model):
    """What follows while more than `spareAt` of the budget will most likely be left. Nothing if left out."""

    ramp_steps: tuple[Share, ...] = ()
    """The steps of ramps that are begun without steps of their own, from low to high."""
    approvals: Literal["required", "none"] = "required"
    """`none`: increases of the service's `lowRisk` flags need no second person."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that the steps rise."""
        if len(self.ramp_steps) > _MOST_STEPS:
            yield BrokenRule(("rampSteps",), "a ramp has too many steps", f"at most {_MOST_STEPS}")
        for index, (low, high) in enumerate(pairwise(self.ramp_steps)):
            if low >= high:
                allowed = "such as [10%, 50%, 100%]"
                message = "each step must be higher than the one before"
                yield BrokenRule(("rampSteps", index + 1), message, allowed)
