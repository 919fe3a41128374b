"""Programs of tests as processes that begin with everything imported, for stories that start one often.

A fork server imports the program's module once; each start is a fork of it. What is started is a process
of its own that can be killed at any moment, as `python -m MODULE ARGUMENTS` is: only the second that imports
take is saved.

    bot = ForkedServer("tests.stories.child", [url, "8000"], tmp_path, is_ready)
"""

import asyncio
import ctypes
import importlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import TimeoutExpired
from types import MappingProxyType
from typing import Any, BinaryIO

from tests.support.servers import Server

_PROGRAMS = (
    "tests.incidents.child",
    "tests.stories.child",
    "tests.stories.child_governor",
    "tests.tasks.worker",
    __name__,
)
_PR_SET_PDEATHSIG = 1


class _Fork:
    """A started process, with what `Server` needs of a `Popen`."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutExpired(self._process.name, timeout or 0)
        return code


class ForkedServer(Server):
    """A server whose program is the coroutine function `main` of one of the modules in `_PROGRAMS`.

    `environ` is set in addition to the environment of the tests.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        folder: Path,
        is_ready: Callable[[], Any],
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        assert module in _PROGRAMS, f"{module} is not imported by the fork server"
        super().__init__([module, *arguments], folder, is_ready)
        self._program = [module, *arguments]
        self._environ = dict(environ)

    def _spawn(self, log: BinaryIO) -> _Fork:
        context = get_context("forkserver")
        context.set_forkserver_preload(list(_PROGRAMS))
        process = context.Process(target=_run, args=(self._program, self._environ, log.name))
        process.start()
        return _Fork(process)


def _run(program: Sequence[str], environ: Mapping[str, str], log: str) -> None:
    os.setsid()
    # The fork server ends with the test process.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(environ)
    module, *arguments = program
    asyncio.run(importlib.import_module(module).main(*arguments))
