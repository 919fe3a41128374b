"""Starts the real program for stories: `python -m bot run` as a process, configured by the environment.

async with running_governor(policies=folder, slack=slack, database=path) as bot:
    await bot.api("GET", "services/checkout")
    bot.kill(); await bot.start()
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import aiohttp

from tests.support.servers import free_port

T = TypeVar("T")
API_TOKEN = "token-of-the-stories"
_PATIENCE_S = 60.0
_READY_S = 600.0
"""How long a start may take with thousands of services on a busy machine."""


class Slack(Protocol):
    """What the program needs to know of a Slack, and where that Slack shall send its requests."""

    bot_token: str
    signing_secret: str
    bot_url: str | None

    @property
    def api_url(self) -> str:
        """The base for Web API clients, ending in a slash."""
        ...


async def eventually(
    ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool], within_s: float = 60.0
) -> T:
    """Ask again and again until the answer satisfies the condition, and return it."""
    async with asyncio.timeout(within_s):
        while True:
            answer = await ask()
            if holds(answer):
                return answer
            await asyncio.sleep(0.1)


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run an endless coroutine during the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Bot:
    """The program under test. `log` is the file that holds its standard error."""

    def __init__(
        self,
        environ: Mapping[str, str],
        port: int,
        log: Path,
        module: Sequence[str] = ("bot",),
    ) -> None:
        self._command = [sys.executable, "-m", *module, "run"]
        self._environ = dict(environ)
        self._process: asyncio.subprocess.Process | None = None
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    async def start(self, *, wait: bool = True) -> None:
        """Start the program and, unless `wait` is false, wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environ, stderr=log, stdout=log
            )
        if wait:
            await self.ready()

    async def ready(self) -> None:
        """Wait until `/readyz` answers; fails with the program's log if it ended instead."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(_READY_S):
            while True:
                assert self._process is not None
                if self._process.returncode is not None:
                    raise AssertionError(f"the bot ended: {self.log.read_text()}")
                try:
                    async with session.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """Send SIGKILL, which leaves no chance to clean up."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there, halted or not."""
        return self._process is not None and self._process.returncode is None

    def halt(self) -> None:
        """Send SIGSTOP: the process keeps its connections and does nothing until `wake`."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Send SIGCONT: the process continues where it was stopped."""
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(what)

    async def terminate(self) -> int:
        """Send SIGTERM; return the exit code once the process has ended."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        """Wait until the program has ended by itself, and return its exit code."""
        assert self._process is not None
        async with asyncio.timeout(_PATIENCE_S):
            return await self._process.wait()

    async def api(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Call `/api/v1/{path}` with the token; return status and body."""
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self.url}/api/v1/{path}", **options) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def get(self, path: str) -> Any:
        """Return the JSON that the bot serves at a path."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}{path}") as answer:
            return await answer.json(content_type=None)

    async def text(self, path: str) -> str:
        """Return the text that the bot serves at a path."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}{path}") as answer:
            return await answer.text()

    async def state(self, service: str) -> dict[str, Any]:
        """Return the status of a service."""
        status, body = await self.api("GET", f"services/{service}")
        assert status == 200, body
        return dict(body)

    async def until_state(self, service: str, state: str, *, within_s: float = _PATIENCE_S) -> dict[str, Any]:
        """Wait until the service is `open` or `frozen`, and return its status."""
        return await eventually(
            lambda: self.state(service), lambda standing: standing["state"] == state, within_s
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


def write_policies(folder: Path, text: str) -> Path:
    """Write policy documents into a folder of their own in `folder`; return that folder."""
    policies = folder / "policies"
    policies.mkdir(parents=True)
    (policies / "all.yaml").write_text(text)
    return policies


@asynccontextmanager
async def running_governor(
    *,
    policies: Path,
    slack: Slack,
    folder: Path,
    module: Sequence[str] = ("bot",),
    **environ: str,
) -> AsyncIterator[Bot]:
    """Run the program against the stand-in for Slack, with its database in `folder`.

    `module` is what runs, with its arguments; by default `governor` itself.
    """
    port = free_port()
    told = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "POLICIES_DIR": str(policies),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/governor.db",
        "PORT": str(port),
        "GOVERNOR_API_TOKEN": API_TOKEN,
        "LOG_FORMAT": "console",
    } | environ
    bot = Bot(told, port, folder / "governor.log", module)
    slack.bot_url = bot.url
    async with bot:
        yield bot
