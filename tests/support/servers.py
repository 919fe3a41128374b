"""Real servers for tests, started from the installed programs.

Each runs on a free port of the loopback address with its data in a temporary folder, and dies with the
test: by the end of its `async with`, or, should the test process be killed, by the kernel's signal.
A missing program skips the test, saying why; under `CI=true` it fails instead.

    async with running_exporter() as exporter, running_prometheus(tmp_path, [exporter]) as prometheus:
        exporter.count("http_requests_total", 5, service="checkout", code="200")
        ...                              # scraped every second
        await prometheus.stop()          # SIGTERM; `kill()` is SIGKILL
        await prometheus.start()         # the same port, the same data

    async with running_postgresql() as postgresql:
        url = await postgresql.new_database()      # a DATABASE_URL
"""

import asyncio
import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import aiohttp
import asyncpg  # type: ignore[import-untyped] # it ships none
import yaml
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from tests.support.unavailable import unavailable

_READY_WITHIN_S = 60.0
_STOPS_WITHIN_S = 20.0
_PORTS = range(10_100, 32_768)  # above 10080, which browsers refuse; below Linux's ephemeral ports
_STARTS = 3  # a machine that is short of memory ends a program in silence
_POSTGRESQL_FOLDERS = (
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/17/bin",
)

_END_CONNECTIONS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1"
# Everything that a test could add, take away or alter.
_SHAPE = """
SELECT md5(concat(
    (SELECT string_agg(concat(oid, relname, relkind, relhastriggers), ',' ORDER BY oid)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'S'),
    (SELECT string_agg(concat(attrelid, attname, atttypid, attnotnull), ',' ORDER BY attrelid, attnum)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'),
    (SELECT string_agg(version_num, ',') FROM alembic_version),
    (SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_trigger),
    (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
    (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_t'), (SELECT count(*) FROM pg_db_role_setting)
))
"""
_EMPTY_TABLES = """
DO $$
DECLARE
    name text;
    has_rows boolean;
    filled text[] := '{}';
BEGIN
    FOR name IN SELECT quote_ident(tablename) FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO has_rows;
        IF has_rows THEN filled := filled || name; END IF;
    END LOOP;
    IF filled <> '{}' THEN EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' CASCADE'; END IF;
    PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
        FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;
END $$
"""


def find_program(name: str, *folders: str) -> str:
    """Return where a program is installed; without it skip the test, or fail it under `CI=true`."""
    found = shutil.which(name, path=os.pathsep.join((*folders, os.environ.get("PATH", ""))))
    if found is None:
        unavailable(f"{name} is not installed; .ci/run installs it")
    return found


def free_port() -> int:
    """Return a port of the loopback address that nobody uses.

    Not one that the kernel hands out to outgoing connections: until the server listens, one of those could
    take it, even a look whether the server answers yet.
    """
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class EndedError(Exception):
    """A server ended before it was ready."""


class Process(Protocol):
    """What is needed of a process that was started."""

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended; raises `subprocess.TimeoutExpired`."""
        ...


class Server:
    """A program that runs until it is stopped; it may be started again with the same data and port.

    `is_ready` is asked until it answers true. Everything that the program started dies with it.
    """

    _running: "set[Server]" = set()  # noqa: RUF012 - one register for the whole test process

    def __init__(
        self, command: Sequence[str], folder: Path, is_ready: Callable[[], Any], *, user: str | None = None
    ) -> None:
        self.command = [*_as_user(user), *command]
        self.folder = folder
        self.log = folder / "server.log"
        self._is_ready = is_ready
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it answers; one that ends before is started again, three times in all."""
        for start in range(_STARTS):
            try:
                await self._start()
            except EndedError:
                if start == _STARTS - 1:
                    raise
            else:
                return

    async def stop(self) -> None:
        """Ask it to end and wait until it has; without effect when it does not run."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        await self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Send SIGSTOP: it keeps its connections and answers nothing."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Continue after `pause`."""
        os.killpg(self.pid, signal.SIGCONT)

    async def _start(self) -> None:
        assert self._process is None, "the server runs already"
        with self.log.open("ab") as log:
            self._process = self._spawn(log)
        self._running.add(self)
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                while not await self._is_ready():
                    self._see_that_it_runs()
                    await asyncio.sleep(0.05)
        except BaseException:
            await self.kill()
            raise

    def _spawn(self, log: BinaryIO) -> Process:
        """Start the program in a session of its own; it takes a millisecond."""
        return subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
        )

    def _see_that_it_runs(self) -> None:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise EndedError(f"{self.command} ended with {code}:\n{self.log.read_text()[-3000:]}")

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._running.discard(self)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
            os.killpg(process.pid, signal.SIGCONT)
        try:
            await asyncio.to_thread(process.wait, _STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    @classmethod
    def kill_all(cls) -> None:
        """End whatever a failed test left behind."""
        for server in list(cls._running):
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


atexit.register(Server.kill_all)


def _as_user(user: str | None) -> list[str]:
    """Return the start of a command that drops root's rights and dies with the test process."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return [] if user is None else ["runuser", "-u", user, "--"]
    drop = [] if user is None else [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return [setpriv, "--pdeathsig=KILL", *drop, "--"]


class Exporter:
    """A metrics page with counters that the test moves; Prometheus scrapes it as the target `address`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_up = True
        self._counters: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)

    def count(self, metric: str, events: float = 1, **labels: str) -> None:
        """Add to a counter, which begins at 0. Histograms are `…_bucket` with `le`, and `…_count`."""
        self._counters[metric, tuple(sorted(labels.items()))] += events

    def restart(self) -> None:
        """Set every counter back to 0, as a restarted process does."""
        for key in self._counters:
            self._counters[key] = 0.0

    def forget(self, metric: str, **labels: str) -> None:
        """Take a counter off the page, as when a pod is gone."""
        del self._counters[metric, tuple(sorted(labels.items()))]

    async def page(self, _request: web.Request) -> web.Response:
        """Return the page, or 503 while `is_up` is false."""
        if not self.is_up:
            return web.Response(status=503)
        lines = [f"{metric}{_braces(labels)} {value!r}" for (metric, labels), value in self._counters.items()]
        return web.Response(text="\n".join(sorted(lines)) + "\n")


def _braces(labels: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}"


@asynccontextmanager
async def running_exporter() -> AsyncIterator[Exporter]:
    """Serve an exporter's page on a free port."""
    port = free_port()
    exporter = Exporter(f"127.0.0.1:{port}")
    app = web.Application()
    app.router.add_get("/metrics", exporter.page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield exporter
    finally:
        await runner.cleanup()


class Prometheus(Server):
    """A Prometheus. `url` is where it answers, also after a restart."""

    def __init__(
        self,
        folder: Path,
        targets: Sequence[Exporter],
        scrape_every_s: float,
        rules: Sequence[Path] = (),
        late: timedelta | None = None,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = folder / "prometheus.yml"
        scraping = _scrape_config(targets, scrape_every_s, late)
        config.write_text(yaml.safe_dump({**scraping, "rule_files": [str(file) for file in rules]}))
        command = [
            find_program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            "--enable-feature=native-histograms",
            "--web.enable-remote-write-receiver",
        ]
        super().__init__(command, folder, self._answers)

    async def query(self, query: str, at: datetime | None = None) -> list[dict[str, Any]]:
        """Return an instant query's `result`."""
        form = {"query": query} | ({} if at is None else {"time": str(at.timestamp())})
        async with _session(60) as session, session.post(f"{self.url}/api/v1/query", data=form) as response:
            answer = await response.json()
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    async def value(self, query: str, at: datetime | None = None) -> float:
        """Return the only value of an instant query; 0 where nothing matches."""
        result = await self.query(query, at)
        assert len(result) <= 1, f"{query} has {len(result)} series"
        return float(result[0]["value"][1]) if result else 0.0

    async def asked(self) -> int:
        """Return how many queries it has answered through its API so far, by its own count."""
        async with _session(10) as session, session.get(f"{self.url}/metrics") as response:
            families = list(text_string_to_metric_families(await response.text()))
        return sum(
            int(sample.value)
            for family in families
            for sample in family.samples
            if sample.name == "prometheus_http_requests_total"
            and sample.labels["handler"].startswith("/api/v1/")
        )

    async def _answers(self) -> bool:
        try:
            async with _session(2) as session, session.get(f"{self.url}/-/ready") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


def _session(timeout_s: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s))


def _scrape_config(targets: Sequence[Exporter], every_s: float, late: timedelta | None) -> Mapping[str, Any]:
    addresses = [target.address for target in targets]
    every = f"{round(every_s * 1000)}ms"
    out_of_order = {"out_of_order_time_window": f"{late.total_seconds():.0f}s"} if late else {}
    return {
        "storage": {"tsdb": out_of_order},
        "global": {"scrape_interval": every, "scrape_timeout": every},
        "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": addresses}]}],
    }


@asynccontextmanager
async def running_prometheus(
    folder: Path,
    targets: Sequence[Exporter] = (),
    *,
    scrape_every_s: float = 1.0,
    openmetrics: str | Iterable[str] | None = None,
    rules: Sequence[Path] = (),
    late: timedelta | None = None,
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with its data in `folder`, which evaluates the files of `rules`.

    `openmetrics` is history to begin with: OpenMetrics text with timestamps in seconds, oldest first in
    each series, ended by `# EOF`; or several such texts, of different times, taken in one after the other.
    Samples may be written up to `late` before the newest one.
    """
    home = folder / "prometheus"
    home.mkdir()
    prometheus = Prometheus(home, targets, scrape_every_s, rules, late)
    texts = (openmetrics,) if isinstance(openmetrics, str) else openmetrics or ()
    for text in texts:
        await _back_fill(home, text)
    await prometheus.start()
    try:
        yield prometheus
    finally:
        await prometheus.kill()


async def _back_fill(home: Path, openmetrics: str) -> None:
    source = home / "history.om"
    source.write_text(openmetrics)
    # promtool reads all of its input for every block that it makes: let them be wide.
    command = [find_program("promtool"), "tsdb", "create-blocks-from", "--quiet", "--max-block-duration=162h"]
    await _run([*command, "openmetrics", str(source), str(home / "data")], home)
    source.unlink()


class PostgreSQL(Server):
    """A PostgreSQL server that trusts everyone on the loopback address."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.port = free_port()
        self._numbers = count(1)
        self._template: str | None = None
        self._shape = ""
        self._unused: list[str] = []
        command = [
            find_program("postgres", *_POSTGRESQL_FOLDERS),
            f"-D{folder / 'data'}",
            "-clisten_addresses=127.0.0.1",
            f"-cport={self.port}",
            "-cunix_socket_directories=",
            "-cfsync=off",
            "-cmax_connections=200",
        ]
        super().__init__(command, folder, self._answers, user=user)

    async def cut_connections(self) -> None:
        """End about half of the bot's connections; do nothing where the server is away."""
        with suppress(OSError, TimeoutError, asyncpg.PostgresError):
            connection = await self.connect()
            try:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'governor' AND hashint4(pid) % 2 = 0"
                )
            finally:
                await connection.close()

    async def new_database(self, template: str = "template1") -> str:
        """Create a database, an empty one unless it is a copy of another; return its `DATABASE_URL`."""
        name = f"governor_{next(self._numbers)}"
        connection = await self.connect()
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        finally:
            await connection.close()
        return f"postgresql+asyncpg://governor@127.0.0.1:{self.port}/{name}"

    async def take_database(self, prepare: Callable[[str], Awaitable[None]]) -> str:
        """Return a database with the tables that `prepare` creates, empty but for what it wrote itself.

        Whoever is done with it calls `give_back`: to empty it is much cheaper than to create another.
        """
        if self._unused:
            return self._unused.pop()
        if self._template is None:
            address = await self.new_database()
            await prepare(address)
            self._shape = await self._shape_of(address)
            self._template = address.rpartition("/")[2]
        return await self.new_database(self._template)

    async def give_back(self, address: str) -> None:
        """Empty a database of `take_database` for its next use; drop it where its tables were altered."""
        name = address.rpartition("/")[2]
        connection = await self.connect()
        try:
            await connection.execute(_END_CONNECTIONS, name)
        finally:
            await connection.close()
        if await self._shape_of(address) != self._shape:
            await self.drop(address)
            return
        connection = await self.connect(name)
        try:
            await connection.execute(_EMPTY_TABLES)
        finally:
            await connection.close()
        self._unused.append(address)

    async def _shape_of(self, address: str) -> str:
        connection = await self.connect(address.rpartition("/")[2])
        try:
            return str(await connection.fetchval(_SHAPE))
        finally:
            await connection.close()

    async def drop(self, address: str) -> None:
        """Delete the database of an address, whoever still is connected to it."""
        connection = await self.connect()
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {address.rpartition('/')[2]} WITH (FORCE)")
        finally:
            await connection.close()

    async def connect(self, database: str = "postgres") -> "asyncpg.Connection[Any]":
        """Open a connection beside those of the bot."""
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="governor", database=database, ssl=False, timeout=5
        )

    async def _answers(self) -> bool:
        try:
            await (await self.connect()).close()
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        return True


@asynccontextmanager
async def running_postgresql() -> AsyncIterator[PostgreSQL]:
    """Run a PostgreSQL. It refuses root, so as root it runs as the user `postgres`."""
    user = "postgres" if os.geteuid() == 0 else None
    # Not below pytest's folder, which only root may enter.
    folder = Path(tempfile.mkdtemp(prefix="governor-postgresql-"))
    try:
        if user is not None:
            shutil.chown(folder, user, user)
        initdb = [find_program("initdb", *_POSTGRESQL_FOLDERS), f"-D{folder / 'data'}", "--no-sync"]
        await _run(
            [*_as_user(user), *initdb, "--auth=trust", "--username=governor", "--encoding=UTF8"], folder
        )
        server = PostgreSQL(folder, user)
        await server.start()
        try:
            yield server
        finally:
            await server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(command: Sequence[str], folder: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}")
