"""A source that could not be opened: it says why to everybody who asks."""

from datetime import timedelta
from typing import NoReturn

from bot.budgets.source import SourceRefusedError
from bot.budgets.sources.one_by_one import OneByOneSource
from bot.catalog.slo import Sli
from bot.catalog.window import Span


class UnopenedSource(OneByOneSource):
    """Refuses every request for the same reason."""

    def __init__(self, reason: SourceRefusedError) -> None:
        self._reason = reason

    async def check(self) -> None:
        """Raise `SourceRefusedError`."""
        self._refuse()

    async def _read(self, sli: Sli, span: Span, step: timedelta) -> NoReturn:
        del sli, span, step
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise SourceRefusedError(str(self._reason)) from self._reason
