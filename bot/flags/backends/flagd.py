"""The `flagd` backend: definition files in JSON, read by flagd or by its in-process providers.

A change holds the file's lock (`FILE.lock`), reads the file again, writes a new one beside it and renames
it, so that readers see the old file or the new one. Fields that this adapter does not know stay as they are.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bot.flags.backend import (
    AppliedChange,
    BackendCapabilities,
    BackendUnavailableError,
    ChangePlan,
    EnvironmentNotFoundError,
    FlagNotFoundError,
    ForbiddenError,
    HistoryEntry,
    MisconfiguredError,
    UnsupportedError,
    expect,
    plan_change,
    require_version,
)
from bot.flags.backends.flagd_definition import FINEST_SHARE, change_definition, read_definition
from bot.flags.backends.settings import BackendSettings, read_settings
from bot.flags.change import Difference, FlagChange
from bot.flags.flag import FlagState

_LOCK_TIMEOUT_S = 5.0


class FlagdSettings(BackendSettings):
    """`file` for the only environment, or `files` with one for each."""

    file: Path | None = None
    files: Mapping[str, Path] = {}


class FlagdBackend:
    """Flags in flagd definition files, one file for each environment."""

    name = "flagd"
    capabilities = BackendCapabilities(finest_share=FINEST_SHARE)

    def __init__(self, settings: Mapping[str, object], environments: Sequence[str]) -> None:
        read = read_settings(FlagdSettings, self.name, settings)
        if (read.file is None) == (not read.files):
            raise MisconfiguredError("flag backend flagd needs either `file` or `files`")
        if read.file is not None and len(environments) > 1:
            raise MisconfiguredError("flag backend flagd needs `files`, one for each environment")
        files = dict(read.files) or {name: read.file for name in environments if read.file is not None}
        for file in files.values():
            if file.suffix != ".json":
                raise MisconfiguredError(f"flag backend flagd writes JSON files; {file} is not one")
        self._files = files

    async def list(self, environment: str) -> Sequence[FlagState]:
        """Return every flag of the environment's file, by name."""
        file = self._file(environment)
        flags = await asyncio.to_thread(_read_flags, file)
        return [read_definition(key, environment, flags[key]) for key in sorted(flags)]

    async def read(self, flag: str, environment: str) -> FlagState:
        """Return the flag as the file has it."""
        flags = await asyncio.to_thread(_read_flags, self._file(environment))
        return read_definition(flag, environment, _definition(flags, flag))

    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        """Return what the change would do, as its definition would be read afterwards."""
        flags = await asyncio.to_thread(_read_flags, self._file(environment))
        definition = _definition(flags, flag)
        before = read_definition(flag, environment, definition)
        plan = plan_change(before, change, self.capabilities)
        after = read_definition(flag, environment, change_definition(definition, before, change))
        return replace(plan, difference=Difference(before, after))

    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        """Carry the change out under the file's lock; the file has no field for the note."""
        del note
        return await asyncio.to_thread(
            self._apply, self._file(environment), flag, environment, change, version
        )

    async def history(self, flag: str, environment: str) -> Sequence[HistoryEntry]:
        """Raise `UnsupportedError`: a file has no history."""
        raise UnsupportedError(f"a flagd file does not tell who changed {flag} in {environment}")

    async def check(self) -> None:
        """Read every file once."""
        for file in self._files.values():
            await asyncio.to_thread(_read_flags, file)

    def _file(self, environment: str) -> Path:
        file = self._files.get(environment)
        if file is None:
            raise EnvironmentNotFoundError(environment, self._files)
        # A symbolic link, as Kubernetes mounts it, stays; its target is replaced.
        return file.resolve()

    def _apply(
        self, file: Path, flag: str, environment: str, change: FlagChange, version: str
    ) -> AppliedChange:
        try:
            with FileLock(f"{file}.lock", timeout=_LOCK_TIMEOUT_S):
                document = _read(file)
                definition = _definition(_flags_of(document, file), flag)
                before = read_definition(flag, environment, definition)
                require_version(before, version)
                expect(before, change, self.capabilities)
                changed = change_definition(definition, before, change)
                document["flags"][flag] = changed
                _write(file, document)
        except Timeout as error:
            raise BackendUnavailableError(f"somebody else holds the lock of {file.name}") from error
        except PermissionError as error:
            raise ForbiddenError(f"{file} may not be written") from error
        except OSError as error:
            raise BackendUnavailableError(f"{file} cannot be written: {error.strerror}") from error
        return AppliedChange(before, read_definition(flag, environment, changed))


def _read_flags(file: Path) -> dict[str, Any]:
    return _flags_of(_read(file), file)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text())
    except PermissionError as error:
        raise ForbiddenError(f"{file} may not be read") from error
    except OSError as error:
        raise BackendUnavailableError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BackendUnavailableError(f"{file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BackendUnavailableError(f"{file} is not a flagd definition file")
    return document


def _flags_of(document: Mapping[str, Any], file: Path) -> dict[str, Any]:
    flags = document.get("flags")
    if not isinstance(flags, dict) or not all(isinstance(definition, dict) for definition in flags.values()):
        raise BackendUnavailableError(f"{file} is not a flagd definition file: it has no object `flags`")
    return flags


def _definition(flags: Mapping[str, Any], flag: str) -> Mapping[str, Any]:
    definition = flags.get(flag)
    if not isinstance(definition, Mapping):
        raise FlagNotFoundError(flag, flags)
    return definition


def _write(file: Path, document: Mapping[str, Any]) -> None:
    """Replace the file in one step, with the permissions that it had."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(document, out, indent=2, ensure_ascii=False)
            out.write("\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.chmod(file.stat().st_mode & 0o777)
        temporary.replace(file)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
