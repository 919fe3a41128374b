"""A file system of a few megabytes, that tests fill up."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.unavailable import unavailable

_BLOCK = b"\0" * 65_536


class SmallDisk:
    """A mounted file system at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Write until nothing more fits."""
        with self._filler.open("ab", buffering=0) as filler, suppress(OSError):
            while filler.write(_BLOCK) == len(_BLOCK):
                pass
        with self._filler.open("ab", buffering=0) as filler, suppress(OSError):
            while filler.write(b"\0"):
                pass

    def free(self) -> None:
        """Give back what `fill` took."""
        self._filler.unlink(missing_ok=True)


@asynccontextmanager
async def small_disk(folder: Path, megabytes: int) -> AsyncIterator[SmallDisk]:
    """Mount a file system of that size at an empty `folder`.

    Without the right to mount one, the test is skipped, and fails under `CI=true`.
    """
    as_root = [] if os.geteuid() == 0 else [shutil.which("sudo") or "sudo", "-n"]
    options = f"size={megabytes}m,mode=0777"
    if await _run(*as_root, "mount", "-t", "tmpfs", "-o", options, "governor-test", str(folder)):
        unavailable("a small file system needs the right to mount one: root, or sudo without a password")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a process that has just been killed may still have files open here.
        await _run(*as_root, "umount", "--lazy", str(folder))


async def _run(*command: str) -> int:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()
