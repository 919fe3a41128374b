"""Whether a flag hurts those who met it: compared with all others at the same time. Pure; no clock."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.budgets.budget import EventCounts
from bot.budgets.statistics.posterior import probability_above
from bot.budgets.statistics.sequential import FALSE_ALARMS
from bot.budgets.statistics.two_samples import GroupCounts, log_e_value
from bot.formatting import counted

_SURE = 0.95
_AS_THE_OTHERS = 1.5


@dataclass(frozen=True, slots=True)
class VariantTest:
    """What an SLO of `service` counted since a change with the flag on, and with it off, up to `until`.

    `buckets` hold both for each short time. `allowed` is the share of bad events that the objective allows,
    `alpha` how often the test may be wrong; `holds`: a ramp waits while the test is undecided.
    """

    service: str
    allowed: float
    since: EventCounts
    off: EventCounts
    buckets: Sequence[GroupCounts]
    until: datetime | None
    alpha: float = FALSE_ALARMS
    holds: bool = True

    def shows_harm(self, burn: float) -> bool:
        """Return whether requests fail more often with the flag on than with it off.

        At which `burn` that matters is for the burn rate with the flag on to say.
        """
        del burn
        return log_e_value(self.buckets) >= -math.log(self.alpha)

    def shows_no_harm(self, burn: float) -> bool:
        """Return whether requests with the flag on surely burn below `burn`, or hardly faster than others."""
        others = self.off.bad / self.off.total if self.off.total > 0 else 0.0
        limit = max(burn * self.allowed, _AS_THE_OTHERS * others)
        return probability_above(limit, self.since.bad, self.since.total) <= 1 - _SURE

    @property
    def burn_before(self) -> None:
        """None: what is compared is not the time before."""

    @property
    def compared(self) -> str:
        """What was compared: `410 of 12,000 requests with the flag on failed, 3 of 11,900 with it off`."""
        on = _share(self.since, counted(round(self.since.total), "request"))
        return f"{on} with the flag on failed, {_share(self.off, f'{round(self.off.total):,}')} with it off"


def _share(events: EventCounts, of: str) -> str:
    return f"{round(events.bad):,} of {of}"
