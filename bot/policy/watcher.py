"""Keeps the policies up to date while the bot runs: a changed folder is read anew, a broken one is told.

The operating system's notices (inotify, through watchfiles) make it quick. Every few seconds the files'
own marks are compared as well, which finds what notices miss: a folder that was deleted and made again, a
symlink above the folder that was swapped, a network file system.

What documents with `forEach` stand for is told by `know`, whenever somebody has asked the sources.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import structlog
from watchfiles import awatch

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.policy.faults import PolicyError, PolicyFault
from bot.policy.loader import read
from bot.policy.policy_set import ExpandedCatalog, PolicySet
from bot.policy.templates.label_values import DiscoveryRequest, LabelKey
from bot.policy.yaml.yaml_files import find_files

OnChange = Callable[[Catalog], Awaitable[None]]
OnFaults = Callable[[tuple[PolicyFault, ...]], Awaitable[None]]
Marks = tuple[tuple[str, int, int, int, int], ...]

_LOG = structlog.get_logger(__name__)
# An editor or `git pull` writes in bursts: wait for this much quiet, but not for ever.
_QUIET_MS = 100
_AT_MOST_MS = 1_600


class PolicyWatcher:
    """The policies in force. `start()` reads them, `run()` follows the folder until it is cancelled.

    `look_every` is the time between two comparisons of the files' marks; `force_polling` does without
    the operating system's notices.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str] | None = None,
        *,
        look_every: timedelta = timedelta(seconds=2),
        force_polling: bool = False,
    ) -> None:
        self.folder = folder
        self.faults: tuple[PolicyFault, ...] = ()
        self._environ = environ
        self._look_every = look_every
        self._polls = force_polling
        self._policies: PolicySet | None = None
        self._known: Mapping[LabelKey, Sequence[str]] = {}
        self._expanded: ExpandedCatalog | None = None
        self.current = CurrentCatalog()
        self._marks: Marks = ()
        self._reading = asyncio.Lock()
        self._on_change: OnChange | None = None
        self._on_faults: OnFaults | None = None
        self._told_digest: str | None = None
        self._told_faults: tuple[PolicyFault, ...] = ()

    @property
    def wanted(self) -> Sequence[DiscoveryRequest]:
        """What the sources are to be asked for: the values of each `forEach` in force."""
        return self._policies.wanted if self._policies is not None else ()

    @property
    def refused_values(self) -> tuple[PolicyFault, ...]:
        """What is wrong with single values of a `forEach`; the others have their services."""
        return self._expanded.faults if self._expanded is not None else ()

    async def start(self) -> Catalog:
        """Read the folder for the first time; raises `PolicyError`, for there is no earlier good set."""
        async with self._reading:
            await self._read()
        if self._expanded is None:
            raise PolicyError(self.faults)
        self._told_digest = self.current.catalog.digest
        return self.current.catalog

    async def run(self, on_change: OnChange, on_faults: OnFaults) -> None:
        """Follow the folder until cancelled.

        `on_change` gets every new good set that means something else than the one before, `on_faults`
        every new set of faults once. A call that fails is logged and made again a little later.
        """
        if self._expanded is None:
            await self.start()
        self._on_change, self._on_faults = on_change, on_faults
        try:
            # What changed between start() and now was noticed by nobody.
            await self._tick(certain=True)
            async with aclosing(self._occasions()) as occasions:
                async for certain in occasions:
                    await self._tick(certain=certain)
        finally:
            self._on_change = self._on_faults = None

    async def reload_now(self) -> None:
        """Read the folder at once, and tell what is new; raises what the callbacks of `run` raise."""
        async with self._reading:
            await self._read()
            await self._tell()

    async def know(self, known: Mapping[LabelKey, Sequence[str]]) -> None:
        """Make services of these values, the first to keep a name first; raises as `reload_now` does.

        Before `run` nobody is told: whoever calls reads `current` next.
        """
        async with self._reading:
            if self._policies is not None and known != self._known:
                self._known = dict(known)
                await self._expand(self._policies)
            if self._on_change is not None:
                await self._tell()
            else:
                self._told_digest = self.current.catalog.digest

    async def _tick(self, *, certain: bool) -> None:
        try:
            if certain or await asyncio.to_thread(_marks, self.folder) != self._marks:
                await self.reload_now()
            else:
                async with self._reading:
                    await self._tell()
        except Exception:  # noqa: BLE001 - a loop's tick: one failure must not end the loop
            _LOG.exception("policies_not_applied", folder=str(self.folder))

    async def _read(self) -> None:
        """Read the folder; once more if it was written to meanwhile, for half a file may mean anything."""
        for _ in range(_AT_MOST_MS // _QUIET_MS):
            # The marks come first: what is written later is found at the next look.
            self._marks = await asyncio.to_thread(_marks, self.folder)
            policies, faults = await asyncio.to_thread(_read_all, self.folder, self._environ)
            if await asyncio.to_thread(_marks, self.folder) == self._marks:
                break
            await asyncio.sleep(_QUIET_MS / 1000)
        self.faults = faults
        if policies is not None:
            self._policies = policies
            await self._expand(policies)

    async def _expand(self, policies: PolicySet) -> None:
        """Put in force what the policies mean with the values that are known."""
        self._expanded = await asyncio.to_thread(policies.expanded, self._known)
        self.current.set(self._expanded.catalog)

    async def _tell(self) -> None:
        if not self.faults:
            self._told_faults = ()
        elif self._on_faults is not None and self.faults != self._told_faults:
            await self._on_faults(self.faults)
            self._told_faults = self.faults
        # Values come and go while an edit of the documents waits to be mended.
        current = self.current.catalog
        if self._on_change is not None and current.digest != self._told_digest:
            await self._on_change(current)
            self._told_digest = current.digest

    async def _occasions(self) -> AsyncGenerator[bool, None]:
        """Yield True when something changed, False when it is time to look whether something did."""
        while True:
            try:
                async with aclosing(self._notices()) as notices:
                    async for certain in notices:
                        yield certain
            except (OSError, RuntimeError) as error:
                # The folder is gone, or the system has no more notices to give: look instead.
                if self.folder.exists() and not self._polls:
                    _LOG.warning("policies_polled", folder=str(self.folder), error=str(error))
                    self._polls = True
            await asyncio.sleep(self._look_every.total_seconds())
            yield False

    async def _notices(self) -> AsyncGenerator[bool, None]:
        """Yield as `_occasions` does, for as long as the path leads to the same folder."""
        folder = _identity(self.folder)
        notices = awatch(
            self.folder,
            watch_filter=None,
            debounce=_AT_MOST_MS,
            step=_QUIET_MS,
            rust_timeout=max(1, int(self._look_every.total_seconds() * 1000)),
            yield_on_timeout=True,
            force_polling=self._polls,
            ignore_permission_denied=True,
        )
        async with aclosing(notices):
            async for changes in notices:
                yield bool(changes)
                if _identity(self.folder) != folder:
                    return


def _read_all(
    folder: Path, environ: Mapping[str, str] | None
) -> tuple[PolicySet | None, tuple[PolicyFault, ...]]:
    try:
        return read(folder, environ), ()
    except PolicyError as broken:
        return None, broken.faults


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _marks(folder: Path) -> Marks:
    """Return what tells one state of the files from another without reading them."""
    marks = []
    for file in find_files(folder):
        try:
            status = file.stat()
        except OSError:
            marks.append((str(file), 0, 0, 0, 0))
        else:
            marks.append((str(file), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(marks)
