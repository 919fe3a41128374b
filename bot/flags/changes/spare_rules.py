"""What the policies allow for a flag while the budgets of all its services have spare."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.flags.ownership import owners
from bot.formatting import listed, percent_text
from bot.freezes.spare import Spare
from bot.freezes.status import StatusReader


@dataclass(frozen=True, slots=True)
class RampRule:
    """The steps that the policies name, and the rule in words."""

    steps: tuple[float, ...]
    words: str


class SpareRules:
    """Asks how the services of a flag stand, and what follows by `whenSpare`."""

    def __init__(self, status_reader: StatusReader) -> None:
        self._status_reader = status_reader

    async def approval_rule(self, flag: str) -> str:
        """Return the rule by which an increase needs no second person; empty where it needs one."""
        spares = await self._spares(flag)
        if not spares or not all(flag in spare.unapproved for spare in spares):
            return ""
        return f"no second approval by whenSpare.approvals of {_because(spares)}"

    async def ramp_rule(self, flag: str) -> RampRule | None:
        """Return the steps of a ramp that is begun without its own: the most cautious of the services'."""
        spares = await self._spares(flag)
        if not spares or not all(spare.ramp_steps for spare in spares):
            return None
        steps = min(spare.ramp_steps for spare in spares)
        return RampRule(steps, f"steps by whenSpare.rampSteps of {_because(spares)}")

    async def _spares(self, flag: str) -> Sequence[Spare]:
        """Return the spare of each service; none where one of them has none."""
        spares = []
        for service in owners(self._status_reader.catalog, flag):
            spare = (await self._status_reader.service(service.name)).spare
            if spare is None:
                return ()
            spares.append(spare)
        return spares


def _because(spares: Sequence[Spare]) -> str:
    policies = listed(list(dict.fromkeys(spare.policy for spare in spares)))
    least = percent_text(min(spare.least for spare in spares))
    return f"{policies}, since {least} of the budget will most likely stay unspent"
