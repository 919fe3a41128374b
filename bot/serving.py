"""Runs a bot as a process: signals, start-up errors in one clear line, exit codes."""

import asyncio
import contextlib
import ctypes
import gc
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from bot.app.governor import Governor
from bot.app.http import AddRoutes, ListenError
from bot.app.slack import BadTokenError
from bot.clock import Clock, SimulatedClock
from bot.logs import hide
from bot.policy.faults import PolicyError
from bot.settings import Settings
from bot.slack.manifest import manifest
from bot.store.encryption import EncryptionError
from bot.store.health.errors import StoreError
from bot.store.health.unusable import why_unusable
from bot.tracing.exporting import exporting
from bot.tracing.exporting import secrets as secrets_of_traces

log = structlog.get_logger(__name__)

# Numbers of parameters of glibc's mallopt(3).
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_TRIM_EVERY_S = 20.0


async def serve(
    settings: Settings,
    *,
    clock: Clock | None = None,
    routes: Sequence[AddRoutes] = (),
    stopping: asyncio.Event | None = None,
    listening: asyncio.Event | None = None,
) -> int:
    """Run a bot until SIGTERM, SIGINT or `stopping` is set; return the exit code.

    `listening` is set once the address is its own.
    """
    hide(secrets_of_traces(os.environ))
    return_freed_memory()
    try:
        async with exporting(os.environ), Governor(settings, clock=clock, routes=routes) as governor:
            loop = asyncio.get_running_loop()
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, governor.stop)
            relax_garbage_collection()
            if listening is not None:
                listening.set()
            beside = [
                asyncio.create_task(_stop_when(stopping or asyncio.Event(), governor)),
                asyncio.create_task(_return_memory()),
            ]
            try:
                await governor.run()
            finally:
                for task in beside:
                    task.cancel()
    except PolicyError as error:
        faults = "\n".join(str(fault) for fault in error.faults)
        return _fail(f"{faults}\ngovernor: the policies in {settings.policies_dir} have faults")
    except (EncryptionError, StoreError, ListenError) as error:
        return _fail(f"governor: {error}")
    except BaseExceptionGroup as group:
        bad_tokens, others = group.split(BadTokenError)
        if others is not None or bad_tokens is None:
            raise
        return _fail(f"governor: {bad_tokens.exceptions[0]}")
    except (SQLAlchemyError, OSError) as error:
        reason = why_unusable(settings.database_url, error)
        return _fail(f"governor: the database of DATABASE_URL cannot be used: {reason}")
    return 0


def return_freed_memory() -> None:
    """Have the C library give large pieces of memory back when they are freed: answers of sources, for one.

    It would otherwise keep as much as was needed at most, for each of many threads.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 64 * 1024)
        mallopt(_M_ARENA_MAX, 1)


async def _return_memory() -> None:
    """Have the C library give back what is free between pieces in use, where it is glibc."""
    with contextlib.suppress(OSError, AttributeError):
        trim = ctypes.CDLL(None).malloc_trim
        while True:
            await asyncio.sleep(_TRIM_EVERY_S)
            await asyncio.to_thread(trim, 0)


def relax_garbage_collection() -> None:
    """Exempt the objects that exist now from garbage collection, and seldom look at all others.

    A running bot keeps what it has loaded: a collection that walks all of it would delay every reply. New
    objects are looked at by the thousand, most of which takes less than a millisecond: ten thousand take
    up to twenty, and more in all.
    """
    # A start leaves little garbage among the old objects: to look for it takes a fifth of a second.
    gc.collect(1)
    gc.freeze()
    gc.set_threshold(1_500, 4, 10_000)


async def _stop_when(stopping: asyncio.Event, governor: Governor) -> None:
    await stopping.wait()
    governor.stop()


START_OVER = -1
"""What `serve_sandbox` returns when the visitor starts over: the program must be started again."""


async def serve_sandbox(settings: Settings, *, policies: Path | None, speed: float) -> int:
    """Run a bot with a fake Slack on one address until stopped; return the exit code or `START_OVER`."""
    from bot.sandbox import POLICIES, Sandbox  # noqa: PLC0415 - `governor run` never loads it

    clock, restart, listening = SimulatedClock(speed=speed), asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="governor-sandbox-"))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        base_url = f"http://{host}:{settings.port}"
        bot_token, signing_secret = f"xoxb-{secrets.token_hex(16)}", secrets.token_hex(16)
        api_token = settings.governor_api_token or SecretStr(secrets.token_urlsafe(24))
        sandbox = Sandbox(
            # The fake Slack reaches the bot at `bot_url`; of addresses it reads the domain of links alone.
            manifest=manifest(f"https://{host}", socket=True),
            clock=clock,
            base_url=base_url,
            bot_token=bot_token,
            signing_secret=signing_secret,
            api_token=api_token.get_secret_value(),
            shop=policies is None,
            start_over=restart.set,
            hosts=settings.sandbox_hosts.replace(",", " ").split(),
        )
        changed = settings.model_copy(
            update={
                "slack_bot_token": SecretStr(bot_token),
                "slack_signing_secret": SecretStr(signing_secret),
                "slack_app_token": None,
                "slack_api_url": f"{base_url}/slack-api/",
                "governor_api_token": api_token,
                "governor_url": base_url,
                "policies_dir": policies or POLICIES,
                "database_url": f"sqlite+aiosqlite:///{folder}/governor.db",
            }
        )

        async def run_sandbox() -> None:
            # Before, another bot may have the address: it would take the shop's counts for its own.
            await listening.wait()
            print_welcome(settings, base_url, api_token.get_secret_value())
            await sandbox.run()

        try:
            async with asyncio.TaskGroup() as tasks:
                sandbox_task = tasks.create_task(run_sandbox(), name="sandbox")
                try:
                    code = await serve(
                        changed,
                        clock=clock,
                        routes=[sandbox.add_routes],
                        stopping=restart,
                        listening=listening,
                    )
                    return START_OVER if restart.is_set() else code
                finally:
                    sandbox_task.cancel()
        except BaseExceptionGroup as group:
            # Where the welcome cannot be printed, the command line says so as of all output.
            if isinstance(error := group.exceptions[0], OSError):
                raise error from None
            raise


def print_welcome(settings: Settings, base_url: str, api_token: str) -> None:
    """Print where the page is, and how to use the command line with it."""
    host = "" if settings.host == "127.0.0.1" else f"HOST={settings.host} "
    sys.stdout.write(
        f"\n  Governor's sandbox: open {base_url} in a browser.\n"
        f"  For `governor budget` and `governor gate` in another terminal:\n"
        f"    export {host}PORT={settings.port} GOVERNOR_API_TOKEN={api_token}\n"
        f"  Stop with Ctrl-C.\n\n"
    )
    sys.stdout.flush()


def _fail(message: str) -> int:
    sys.stderr.write(message + "\n")
    return 1
