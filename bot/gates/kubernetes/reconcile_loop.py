"""The loop of what keeps clusters in step: on one replica, at each change and now and then."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bot.clock import wait_until_set
from bot.store.leases import Lease

log = structlog.get_logger(__name__)

_EVERY_S = 10.0


class ReconcileLoop:
    """Runs `work` on the replica that has the lease; there is nothing durable to do.

    What must be in a cluster follows from the store at any time.
    """

    def __init__(self, work: Callable[[], Awaitable[None]], lease: Lease) -> None:
        self._work = work
        self._lease = lease
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Run now instead of at the next turn."""
        self._changed.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._changed.clear()
            try:
                if await self._lease.acquire():
                    await self._work()
            except Exception:
                # A loop's tick is a boundary: the next one tries again.
                log.exception("reconciliation_failed")
            await wait_until_set(self._changed, _EVERY_S)
