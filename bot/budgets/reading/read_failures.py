"""How reads fail: grouped by what the ledger stores of them, and logged when that changes."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import structlog

from bot.budgets.ledger.state import ReadFault
from bot.budgets.source import InvalidAnswerError, SourceError, SourceRefusedError
from bot.catalog.slo import Slo

log = structlog.get_logger()

Failure = tuple[ReadFault, str]
"""How a read failed, and why in words."""


class FailureLog:
    """Logs a failure when it begins and when it ends: an outage adds no lines at every evaluation."""

    def __init__(self) -> None:
        self._logged: dict[str, Failure] = {}

    def log(self, slos: Collection[Slo], failed: Mapping[Failure, Sequence[Slo]]) -> None:
        """Log what changed for SLOs that were read together, some of which `failed`."""
        readable = {slo.key for slo in slos}
        for failure, alike in failed.items():
            new = [slo.key for slo in alike if self._logged.get(slo.key) != failure]
            readable.difference_update(slo.key for slo in alike)
            self._logged |= dict.fromkeys(new, failure)
            if new:
                fault, problem = failure
                log.warning("read_failed", slo=new[0], slos=len(new), fault=fault.value, problem=problem)
        recovered = sorted(readable & self._logged.keys())
        for key in recovered:
            del self._logged[key]
        if recovered:
            log.info("read_again", slo=recovered[0], slos=len(recovered))


def by_failure(errors: Mapping[Slo, SourceError]) -> dict[Failure, list[Slo]]:
    """Group SLOs whose reads failed in the same way."""
    alike: dict[Failure, list[Slo]] = defaultdict(list)
    for slo, error in errors.items():
        alike[_fault(error), str(error)].append(slo)
    return alike


def _fault(error: SourceError) -> ReadFault:
    match error:
        case InvalidAnswerError():
            return ReadFault.INVALID
        case SourceRefusedError():
            return ReadFault.REFUSED
        case _:
            return ReadFault.NO_DATA
