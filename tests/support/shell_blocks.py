"""The shell blocks of a page, and a shell that runs them one after the other, word for word.

A block that starts a server stays up while the next ones run. A block whose fence says `needs=…` is run only
where that is at hand; no other fence may hide commands from the tests.
"""

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_WITHIN_S = 400


@dataclass(frozen=True)
class Block:
    """The text between two fences; `info` is the text after the first."""

    info: str
    text: str

    @property
    def needs(self) -> str | None:
        """The program that the block requires, if any."""
        _, _, needed = self.info.partition(" needs=")
        return needed or None


def blocks(page: Path) -> list[Block]:
    """Return every fenced block of a page."""
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(one["info"].strip(), one["text"]) for one in found]


def shell_blocks(page: Path) -> list[Block]:
    """Return what a reader of the page types into a shell."""
    return [block for block in blocks(page) if block.info.partition(" ")[0] == "sh"]


class Shell:
    """Runs blocks in `folder`; what one exports, the next has. `stop` ends the servers that they started."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = dict(environ)
        self._servers: list[asyncio.subprocess.Process] = []

    async def run(self, block: Block) -> tuple[int, str]:
        """Run a block; return its exit code and output."""
        kept = self.folder / ".environ"
        process = await self._start(f"{block.text}\nenv -0 > {kept}\n")
        async with asyncio.timeout(_WITHIN_S):
            said, _ = await process.communicate()
        if process.returncode == 0:
            lines = kept.read_text(encoding="utf-8").split("\0")
            self.environ = dict(line.split("=", 1) for line in lines if "=" in line)
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def serve(self, block: Block, url: str) -> None:
        """Start a block that goes on, and wait until it is ready; fails with its output if it ends."""
        process = await self._start(block.text)
        self._servers.append(process)
        async with aiohttp.ClientSession() as session, asyncio.timeout(_WITHIN_S):
            while True:
                if process.returncode is not None:
                    said, _ = await process.communicate()
                    raise AssertionError(f"{block.text} ended: {said.decode()}")
                try:
                    async with session.get(f"{url}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """End what still runs, as a person does with Ctrl-C."""
        for server in self._servers:
            if server.returncode is None:
                os.killpg(server.pid, signal.SIGINT)
                async with asyncio.timeout(30):
                    await server.communicate()

    async def _start(self, script: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script,
            cwd=self.folder,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
