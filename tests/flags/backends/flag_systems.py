"""Every backend set up in the same way: `new-checkout` is there, off, for everybody once it is on."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bot.clock import SystemClock
from bot.flags.backend import FlagBackend
from bot.flags.backends.flagd import FlagdBackend
from bot.flags.backends.flagsmith import FlagsmithBackend
from bot.flags.backends.launchdarkly import LaunchDarklyBackend
from bot.flags.backends.local import LocalBackend
from bot.flags.backends.unleash import UnleashBackend
from bot.flags.change import SetExposure
from bot.http.ofrep import Ofrep
from bot.store.database import Database
from tests.flags.backends.clients import (
    Application,
    flagd_application,
    ofrep_application,
    unleash_application,
)
from tests.flags.backends.flagsmith_server import FlagsmithServer
from tests.flags.backends.launchdarkly_server import LaunchDarklyServer
from tests.support.paths import DOCS
from tests.support.stores import create_tables
from tests.support.unleash_server import ADMIN_TOKEN, UnleashServer

FLAG = "new-checkout"
TARGETED = "staff-tools"
ENVIRONMENT = "production"


@dataclass(frozen=True, slots=True)
class FlagSystem:
    """A backend on its system.

    `meddle` lets somebody else show the flag to 50% by the system's own means. `application` opens a real
    client, where there is one.
    """

    backend: FlagBackend
    meddle: Callable[[], Awaitable[None]]
    application: Callable[[], AbstractContextManager[Application]] | None = None


@asynccontextmanager
async def local_flag_system(folder: Path) -> AsyncIterator[FlagSystem]:
    """Set up the bot's own flags and serve them over OFREP."""
    async with Database(f"sqlite+aiosqlite:///{folder}/governor.db") as database:
        await create_tables(database)

        def backend() -> LocalBackend:
            return LocalBackend(
                database,
                SystemClock(),
                environments=lambda: (ENVIRONMENT, "staging"),
                declared=lambda: (FLAG, "new-search"),
            )

        own, other = backend(), backend()

        async def meddle() -> None:
            now = await other.read(FLAG, ENVIRONMENT)
            await other.apply(FLAG, ENVIRONMENT, SetExposure(0.5), version=now.version, note="me")

        async with serving(Ofrep(own, lambda: ENVIRONMENT).add_routes) as url:
            yield FlagSystem(own, meddle, lambda: ofrep_application(url))


@asynccontextmanager
async def flagd_flag_system(folder: Path) -> AsyncIterator[FlagSystem]:
    """Set up a definition file."""
    file = folder / "flags.json"
    file.write_text(json.dumps(FLAGD_FILE, indent=2))

    async def meddle() -> None:
        document = json.loads(file.read_text())
        document["flags"][FLAG]["targeting"] = {"fractional": [["on", 1], ["off", 1]]}
        await asyncio.to_thread(file.write_text, json.dumps(document))

    yield FlagSystem(
        FlagdBackend({"files": {ENVIRONMENT: str(file)}}, (ENVIRONMENT,)),
        meddle,
        lambda: flagd_application(file),
    )


FLAGD_FILE: dict[str, Any] = {
    "$schema": "https://flagd.dev/schema/v0/flags.json",
    "flags": {
        FLAG: {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "metadata": {"owner": "checkout"},
        },
        "new-search": {
            "state": "DISABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "on",
        },
        TARGETED: {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": {"if": [{"ends_with": [{"var": "email"}, "@acme.example"]}, "on", "off"]},
        },
    },
    "$evaluators": {"staff": {"in": ["@acme.example", {"var": "email"}]}},
    "metadata": {"flagSetId": "shop"},
}


@asynccontextmanager
async def unleash_flag_system(folder: Path, server: UnleashServer) -> AsyncIterator[FlagSystem]:
    """Set up a project's flags on a real Unleash; the environment's name there is another."""
    for name in (FLAG, "new-search", TARGETED):
        await server.fresh_flag(name)
    strategies = f"/projects/default/features/{TARGETED}/environments/development/strategies"
    staff = [{"contextName": "userId", "operator": "IN", "values": ["ada", "grace"]}]
    for rules in (staff, []):
        await server.call(
            "POST",
            strategies,
            {"name": "flexibleRollout", "constraints": rules, "parameters": {"rollout": "5"}},
        )
    await server.call("POST", f"/projects/default/features/{TARGETED}/environments/development/on")
    path = f"/projects/default/features/{FLAG}/environments/development"

    async def meddle() -> None:
        existing = await server.call("GET", f"{path}/strategies")
        for strategy in existing:
            await server.call("DELETE", f"{path}/strategies/{strategy['id']}")
        half = {"name": "flexibleRollout", "constraints": [], "parameters": {"rollout": "50"}}
        await server.call("POST", f"{path}/strategies", half)
        await server.call("POST", f"{path}/on")

    settings = {"url": server.url, "token": ADMIN_TOKEN, "environments": {ENVIRONMENT: "development"}}
    async with aiohttp.ClientSession() as session:
        yield FlagSystem(
            UnleashBackend(settings, session),
            meddle,
            lambda: unleash_application(server.url, folder / "unleash-cache"),
        )


@asynccontextmanager
async def launchdarkly_flag_system() -> AsyncIterator[FlagSystem]:
    """Set up flags on a server that answers as LaunchDarkly is recorded to."""
    server = LaunchDarklyServer()
    server.add(FLAG)
    server.add("new-search")
    server.add(TARGETED, on=True, rules=[{"_id": "r1", "clauses": [{"attribute": "email"}]}])

    async def meddle() -> None:
        weights = [{"variation": 0, "weight": 50_000}, {"variation": 1, "weight": 50_000}]
        server.change(FLAG, on=True, fallthrough={"rollout": {"variations": weights}})

    async with serving(server.add_routes) as url, aiohttp.ClientSession() as session:
        yield FlagSystem(LaunchDarklyBackend({"url": url, "token": server.token}, session), meddle)


@asynccontextmanager
async def flagsmith_flag_system(*, versioned: bool = False) -> AsyncIterator[FlagSystem]:
    """Set up flags on a server that answers as Flagsmith is recorded to."""
    server = FlagsmithServer(versioned=versioned)
    split = server.add_segment("PERCENTAGE_SPLIT", "100")
    server.add(FLAG, overrides={split: False})
    server.add("new-search")
    server.add(TARGETED, overrides={server.add_segment("EQUAL", "staff"): True})

    async def meddle() -> None:
        server.set_split(split, "50")
        server.set_enabled(FLAG, segment=split, enabled=True)

    settings = {
        "token": server.token,
        "environments": {ENVIRONMENT: server.environment_key},
        "segments": {FLAG: split},
    }
    async with serving(server.add_routes) as url, aiohttp.ClientSession() as session:
        yield FlagSystem(FlagsmithBackend(settings | {"url": url}, session), meddle)


@asynccontextmanager
async def documented_flag_system() -> AsyncIterator[FlagSystem]:
    """Set up the backend that the documentation shows."""
    backend = documented_backend()({"flags": [FLAG, "new-search"]}, None, (ENVIRONMENT,))

    async def meddle() -> None:
        now = await backend.read(FLAG, ENVIRONMENT)
        await backend.apply(FLAG, ENVIRONMENT, SetExposure(0.5), version=now.version, note="me")

    yield FlagSystem(backend, meddle)


def documented_backend() -> Callable[..., FlagBackend]:
    """Return the function that the documentation's example opens its backend with."""
    text = (DOCS / "flag-backends.md").read_text()
    *_, example = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": "acme_flags"}
    exec(compile(example, "docs/flag-backends.md", "exec"), names)  # noqa: S102 - our own documentation
    open_backend: Callable[..., FlagBackend] = names["open_backend"]
    return open_backend


@asynccontextmanager
async def serving(*routes: Callable[[web.Application], None]) -> AsyncIterator[str]:
    """Serve routes on a free port of the loopback address."""
    app = web.Application()
    for add_routes in routes:
        add_routes(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        addresses: Sequence[Any] = runner.addresses
        yield f"http://127.0.0.1:{addresses[0][1]}"
    finally:
        await runner.cleanup()
