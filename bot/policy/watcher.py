"""Watches the policies while the bot runs: reloads a changed folder, reports the faults of an invalid one.

The operating system's notifications (inotify, through watchfiles) make it quick. Every few seconds the
files' metadata is compared as well, which finds what notifications miss: a folder that was deleted and
created again, a symlink above the folder that was replaced, a network file system. Folders that the policies
name to import from are watched alike.

Files are read beside the event loop, and for a limited time: one that never ends to be read is a fault like
others. The label values for documents with `forEach` are passed to `set_known_values`.
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
from bot.policy.folder_reader import BlockedError, FolderReader
from bot.policy.imports.summary import PassedOver
from bot.policy.loader import folder_fault, read
from bot.policy.policy_set import ExpandedCatalog, PolicySet
from bot.policy.templates.label_values import DiscoveryRequest, LabelKey
from bot.policy.yaml.yaml_files import OutOfResourcesError, UnreadableFileError, find_files

OnChange = Callable[[Catalog], Awaitable[None]]
OnFaults = Callable[[tuple[PolicyFault, ...]], Awaitable[None]]
Identities = Mapping[Path, tuple[int, int] | None]
FileStates = tuple[tuple[str, int, int, int, int], ...]

log = structlog.get_logger(__name__)
# An editor or `git pull` writes in bursts: wait for this much quiet, but not for ever.
_QUIET_MS = 100
_AT_MOST_MS = 1_600
_READ_LIMIT = timedelta(seconds=30)
_FAILED_READS = 10
"""How many reads in a row may fail for want of file descriptors before that is a fault."""


class PolicyWatcher:
    """The policies in force. `start()` reads them, `run()` watches the folder until it is cancelled.

    `look_every` is the time between two comparisons of the files' metadata; `force_polling` does without
    the operating system's notifications; `read_limit` is how long reading the folder may take.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str] | None = None,
        *,
        look_every: timedelta = timedelta(seconds=2),
        force_polling: bool = False,
        read_limit: timedelta = _READ_LIMIT,
    ) -> None:
        self.folder = folder
        self._folders: tuple[Path, ...] = (folder,)
        self._passed_over: frozenset[PassedOver] = frozenset()
        self.faults: tuple[PolicyFault, ...] = ()
        self._environ = environ
        self._look_every = look_every
        self._polls = force_polling
        self._reader = FolderReader(read_limit.total_seconds())
        self._policies: PolicySet | None = None
        self._known: Mapping[LabelKey, Sequence[str]] = {}
        self._expanded: ExpandedCatalog | None = None
        self.current = CurrentCatalog()
        self._file_states: FileStates = ()
        self._failed_reads = 0
        self._reading = asyncio.Lock()
        self._on_change: OnChange | None = None
        self._on_faults: OnFaults | None = None
        self._reported_digest: str | None = None
        self._reported_faults: tuple[PolicyFault, ...] = ()

    @property
    def discovery_requests(self) -> Sequence[DiscoveryRequest]:
        """The values to request from the sources, for each `forEach` in force."""
        return self._policies.discovery_requests if self._policies is not None else ()

    @property
    def refused_values(self) -> tuple[PolicyFault, ...]:
        """The faults of single values of a `forEach`; the others have their services."""
        return self._expanded.faults if self._expanded is not None else ()

    async def start(self) -> Catalog:
        """Read the folder for the first time; raises `PolicyError`, as there is no earlier valid set."""
        async with self._reading:
            await self._read()
        if self._expanded is None:
            raise PolicyError(self.faults)
        self._reported_digest = self.current.catalog.digest
        return self.current.catalog

    async def run(self, on_change: OnChange, on_faults: OnFaults) -> None:
        """Watch the folder until cancelled.

        `on_change` is called with every catalog whose digest differs from the one before, `on_faults` once
        with every new set of faults. A call that fails is logged and repeated a little later.
        """
        if self._expanded is None:
            await self.start()
        self._on_change, self._on_faults = on_change, on_faults
        try:
            # Changes between start() and now were not noticed.
            await self._tick(has_changed=True)
            async with aclosing(self._events()) as events:
                async for has_changed in events:
                    await self._tick(has_changed=has_changed)
        finally:
            self._on_change = self._on_faults = None

    async def reload_now(self) -> None:
        """Read the folder at once and report what is new; raises what the callbacks of `run` raise."""
        async with self._reading:
            await self._read()
            await self._report()

    async def set_known_values(self, known: Mapping[LabelKey, Sequence[str]]) -> None:
        """Put the services of these values in force, ordered by precedence; raises as `reload_now` does.

        Before `run` nothing is reported: the caller reads `current` next.
        """
        async with self._reading:
            if self._policies is not None and known != self._known:
                self._known = dict(known)
                await self._expand(self._policies)
            if self._on_change is not None:
                await self._report()
            else:
                self._reported_digest = self.current.catalog.digest

    async def _tick(self, *, has_changed: bool) -> None:
        try:
            if has_changed or await self._have_states_changed():
                await self.reload_now()
            else:
                async with self._reading:
                    await self._report()
        except Exception:
            # A loop's tick is a boundary: one failure must not end the loop.
            log.exception("policies_not_applied", folder=str(self.folder))

    async def _have_states_changed(self) -> bool:
        """Return whether the files' metadata differs from before, or cannot be read."""
        try:
            return await self._reader.run(_file_states, self._folders) != self._file_states
        except (BlockedError, OutOfResourcesError):
            return True

    async def _read(self) -> None:
        """Read the folder; where that does not end, the last good policies stay, which is a fault."""
        try:
            await self._read_folder()
        except BlockedError as error:
            fault = _blocked_fault(self.folder)
            if self.faults != (fault,):
                log.warning("policies_not_read", folder=str(self.folder), error=str(error))
            # Whatever the files are once they can be read again, they are read then.
            self.faults, self._file_states = (fault,), ()
        except OutOfResourcesError as error:
            log.warning("policies_not_read", folder=str(self.folder), error=str(error))
            self._failed_reads += 1
            # It says nothing of the policies and is soon over: the last good ones stay without a word.
            if self._policies is None or self._failed_reads >= _FAILED_READS:
                self.faults = (folder_fault(self.folder, f"the folder cannot be read: {error.strerror}"),)
            self._file_states = ()
        else:
            self._failed_reads = 0

    async def _read_folder(self) -> None:
        """Read the folder; again if it was written to meanwhile, as a file may be incomplete."""
        for _ in range(_AT_MOST_MS // _QUIET_MS):
            # The states come first: later writes are found at the next comparison.
            self._file_states = await self._reader.run(_file_states, self._folders)
            policies, faults, imported = await self._reader.run(_read_all, self.folder, self._environ)
            folders, self._folders = self._folders, (self.folder, *imported)
            if folders != self._folders:
                # The states do not yet have all folders that were read.
                continue
            if await self._reader.run(_file_states, self._folders) == self._file_states:
                break
            await asyncio.sleep(_QUIET_MS / 1000)
        self.faults = faults
        if policies is not None:
            self._log_passed_over(policies.imported.passed_over)
            self._policies = policies
            await self._expand(policies)

    def _log_passed_over(self, documents: Sequence[PassedOver]) -> None:
        """Log each document that is passed over once, for as long as it stays so."""
        for document in documents:
            if document not in self._passed_over:
                log.warning("slo_document_passed_over", **document._asdict())
        self._passed_over = frozenset(documents)

    async def _expand(self, policies: PolicySet) -> None:
        """Put the policies in force, expanded with the known values."""
        self._expanded = await asyncio.to_thread(policies.expanded, self._known)
        self.current.set(self._expanded.catalog)

    async def _report(self) -> None:
        if not self.faults:
            self._reported_faults = ()
        elif self._on_faults is not None and self.faults != self._reported_faults:
            await self._on_faults(self.faults)
            self._reported_faults = self.faults
        # Values come and go also while the documents have faults.
        current = self.current.catalog
        if self._on_change is not None and current.digest != self._reported_digest:
            await self._on_change(current)
            self._reported_digest = current.digest

    async def _events(self) -> AsyncGenerator[bool, None]:
        """Yield True when something changed, False when it is time to compare the files' metadata."""
        while True:
            try:
                async with aclosing(self._notifications()) as notifications:
                    async for has_changed in notifications:
                        yield has_changed
            except (OSError, RuntimeError) as error:
                # The folder is gone, or the system has run out of watches: compare instead.
                if not (self._polls or isinstance(error, BlockedError)) and await self._is_there():
                    log.warning("policies_polled", folder=str(self.folder), error=str(error))
                    self._polls = True
            await asyncio.sleep(self._look_every.total_seconds())
            yield False

    async def _notifications(self) -> AsyncGenerator[bool, None]:
        """Yield as `_events` does, for as long as the paths lead to the same folders."""
        folders = await self._identities()
        if folders[self.folder] is None:
            raise FileNotFoundError(self.folder)
        notifications = awatch(
            *(path for path, identity in folders.items() if identity is not None),
            watch_filter=None,
            debounce=_AT_MOST_MS,
            step=_QUIET_MS,
            rust_timeout=max(1, int(self._look_every.total_seconds() * 1000)),
            yield_on_timeout=True,
            force_polling=self._polls,
            ignore_permission_denied=True,
        )
        async with aclosing(notifications):
            async for changes in notifications:
                # In other folders anything may be written to: whether it is a document is looked at.
                yield any(self._is_of_policies(path) for _, path in changes)
                if await self._identities() != folders:
                    return

    def _is_of_policies(self, path: str) -> bool:
        """Return whether a path, as the system tells it, lies in the folder of policies itself."""
        folder, changed = self.folder.absolute().parts, Path(path).absolute().parts
        return changed[: len(folder)] == folder and ".." not in changed[len(folder) :]

    async def _is_there(self) -> bool:
        try:
            return (await self._identities())[self.folder] is not None
        except BlockedError:
            return False

    async def _identities(self) -> Identities:
        """Return what the paths lead to; None where that is nothing. Raises `BlockedError`."""
        return await self._reader.run(_identities, self._folders)


def _blocked_fault(folder: Path) -> PolicyFault:
    return folder_fault(
        folder, "reading the folder does not finish; is a file in it, or a mount, not responding?"
    )


def _read_all(
    folder: Path, environ: Mapping[str, str] | None
) -> tuple[PolicySet | None, tuple[PolicyFault, ...], tuple[Path, ...]]:
    """Return the policies or their faults, and the folders that they import from."""
    try:
        policies = read(folder, environ)
    except PolicyError as broken:
        return None, broken.faults, broken.folders
    return policies, (), policies.imported.folders


def _identities(paths: Sequence[Path]) -> Identities:
    return {path: _identity(path) for path in paths}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _file_states(folders: Sequence[Path]) -> FileStates:
    """Return the metadata of the files, which changes when they do."""
    return tuple(state for folder in folders for state in _states_in(folder))


def _states_in(folder: Path) -> FileStates:
    states = []
    try:
        files = find_files(folder, with_json=True)
    except UnreadableFileError as unreadable:
        return ((str(unreadable.fault), 0, 0, 0, 0),)
    for file in files:
        try:
            status = file.stat()
        except OSError:
            states.append((str(file), 0, 0, 0, 0))
        else:
            states.append((str(file), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(states)
