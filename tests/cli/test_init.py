"""`governor init`: by flags and on a terminal, against a real Prometheus; and why it writes nothing."""

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, encode_basic_auth, web

from bot.policy.loader import load
from tests.policy.first_policies.test_finder import answering
from tests.policy.first_policies.usual_metrics import GAUGES, HTTP, openmetrics
from tests.support.ctrl_c import interrupt
from tests.support.servers import free_port, running_prometheus

NOBODY = "http://127.0.0.1:9"
_ANSWERS_WITHIN_S = 60


@asynccontextmanager
async def shop(tmp_path: Path, counters: Mapping[str, float] = HTTP) -> AsyncIterator[str]:
    """Run a Prometheus with a day of two services."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    async with running_prometheus(tmp_path, openmetrics=openmetrics(now, counters, GAUGES)) as prometheus:
        yield prometheus.url


async def governor(*words: object, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bot", "init", *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=_environ(environ),
    )


def _environ(changes: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PROMETHEUS_")}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[2]), "NO_COLOR": "1", **changes}


async def test_with_yes_all_that_is_found_is_written_and_the_next_steps_are_said(tmp_path: Path) -> None:
    async with shop(tmp_path) as url:
        done = await governor(
            "--prometheus", url, "--into", "mine", "--channel", "ops", "--yes", cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    assert "  1  batch/scraped" in done.stdout
    assert "client libraries; in the last 7d 99.99% were good" in done.stdout
    assert "mine: 4 services, 6 SLOs, no faults" in done.stdout
    assert "governor check mine" in done.stdout
    assert "governor sandbox --policies mine" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    catalog = load(tmp_path / "mine", {})
    assert set(catalog.services) == {"batch", "checkout", "search", "shop-example-cart"}
    assert catalog.workspace.announcements == "#ops"


async def test_one_service_can_be_taken_and_the_address_comes_from_the_environment(tmp_path: Path) -> None:
    async with shop(tmp_path) as url:
        environ = {"PROMETHEUS_URL": url, "POLICIES_DIR": "from-environment", "PROMETHEUS_TOKEN": "hush"}
        done = await governor("--service", "search", "--yes", cwd=tmp_path, **environ)
        wrong = await governor("--service", "serch", "--yes", cwd=tmp_path, **environ)
    assert done.returncode == 0, done.stderr
    files = {file.name: file.read_text() for file in (tmp_path / "from-environment").iterdir()}
    assert set(files) == {"workspace.yaml", "standard.yaml", "search.yaml"}
    assert "hush" not in "".join(files.values())
    assert "${PROMETHEUS_TOKEN}" in files["workspace.yaml"]
    assert (wrong.returncode, "did you mean search?" in wrong.stderr) == (1, True)


async def test_machines_get_the_candidates_and_nothing_is_written(tmp_path: Path) -> None:
    async with shop(tmp_path) as url:
        listed = await governor("--prometheus", url, "--json", cwd=tmp_path)
        written = await governor("--prometheus", url, "--json", "--yes", cwd=tmp_path)
    body = json.loads(listed.stdout)
    assert listed.returncode == 0
    assert {f"{each['service']}/{each['name']}" for each in body["candidates"]} >= {"search/latency"}
    assert all(set(each["sli"]) == {"prometheus"} for each in body["candidates"])
    assert "files" not in body
    assert len(json.loads(written.stdout)["files"]) == 6
    assert (tmp_path / "policies" / "checkout.yaml").exists()


async def test_files_that_are_there_are_never_replaced_without_force(tmp_path: Path) -> None:
    async with shop(tmp_path) as url:
        words = ("--prometheus", url, "--yes")
        assert (await governor(*words, cwd=tmp_path)).returncode == 0
        mine = tmp_path / "policies" / "checkout.yaml"
        mine.write_text(mine.read_text().replace("99.9 ", "99.5 "))
        again = await governor(*words, cwd=tmp_path)
        assert (again.returncode, "objective: 99.5 " in mine.read_text()) == (1, True)
        assert "checkout.yaml" in again.stderr
        assert "--force" in again.stderr
        assert (await governor(*words, "--force", cwd=tmp_path)).returncode == 0
        assert "objective: 99.9 " in mine.read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "there is no terminal to ask on: pass --prometheus URL and --yes"),
        (("--yes",), 2, "pass --prometheus URL, or set PROMETHEUS_URL"),
        (("--yes", "--prometheus", NOBODY), 2, f"{NOBODY} cannot be reached"),
        (("--yes", "--prometheus", "nonsense"), 2, "nonsense"),
        (("--yes", "--prometheus", "http://me:hush@127.0.0.1:9"), 2, "write the address without a password"),
        (("--promethues", "x"), 2, "did you mean --prometheus"),
    ],
)
async def test_what_it_cannot_do_is_said_in_a_line(
    words: Sequence[str], code: int, said: str, tmp_path: Path
) -> None:
    done = await governor(*words, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr
    assert not (tmp_path / "policies").exists()


async def test_a_server_without_such_metrics_is_told_what_was_looked_for(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    async with running_prometheus(tmp_path, openmetrics=openmetrics(now, {"apples_total": 1})) as prometheus:
        done = await governor("--prometheus", prometheus.url, "--yes", cwd=tmp_path)
    assert done.returncode == 1
    assert "none of these" in done.stderr
    assert "http_server_requests_seconds_count" in done.stderr


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (200, "<html>Welcome</html>", "does not answer as Prometheus does"),
        (401, "Unauthorized", "the credentials were refused: Unauthorized"),
        (503, "no healthy upstream", "no healthy upstream"),
    ],
)
async def test_a_server_that_answers_otherwise_is_named_with_what_it_said(
    status: int, text: str, said: str, tmp_path: Path
) -> None:
    async with answering(status, text) as url:
        done = await governor("--prometheus", url, "--yes", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert url in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_what_the_environment_has_to_log_in_is_sent(tmp_path: Path) -> None:
    async with shop(tmp_path) as url, guarded(url, {"Bearer hush", encode_basic_auth("me", "hush")}) as door:
        refused = await governor("--prometheus", door, "--json", cwd=tmp_path)
        token = await governor("--prometheus", door, "--json", cwd=tmp_path, PROMETHEUS_TOKEN="hush")
        login = {"PROMETHEUS_USERNAME": "me", "PROMETHEUS_PASSWORD": "hush"}
        basic = await governor("--prometheus", door, "--json", cwd=tmp_path, **login)
    assert (refused.returncode, token.returncode, basic.returncode) == (2, 0, 0)
    assert "the credentials were refused" in refused.stderr


@asynccontextmanager
async def guarded(url: str, allowed: Collection[str]) -> AsyncIterator[str]:
    """Serve what a server answers to those who log in."""

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") not in allowed:
            return web.Response(status=401, text="Unauthorized")
        async with (
            ClientSession() as session,
            session.request(request.method, f"{url}{request.rel_url}", data=await request.post()) as inner,
        ):
            return web.Response(status=inner.status, body=await inner.read())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


class Terminal:
    """A person at a terminal: reads until a text appears, types, and sees how it ended."""

    def __init__(self, *words: object, cwd: Path) -> None:
        self._master, terminal = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bot", "init", *map(str, words)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=cwd,
            env=_environ({"TERM": "xterm", "COLUMNS": "80"}),
            start_new_session=True,
        )
        os.close(terminal)
        self.seen = ""

    def answer(self, question: str, typed: str) -> None:
        """Wait for a question, which comes once more, and type an answer."""
        self._read_until(question)
        os.write(self._master, f"{typed}\n".encode())

    def interrupt(self, question: str) -> None:
        """Wait for a question, and stop the program as Ctrl-C does."""
        self._read_until(question)
        interrupt(self._process)

    def ended(self) -> int:
        """Read to the end and return the exit code."""
        self._read_until(None)
        os.close(self._master)
        return self._process.wait()

    def _read_until(self, text: str | None) -> None:
        start = len(self.seen)
        while text is None or text not in self.seen[start:]:
            ready, _, _ = select.select([self._master], [], [], _ANSWERS_WITHIN_S)
            assert ready, f"{text or 'the end'} did not come:\n{self.seen}"
            try:
                part = os.read(self._master, 65_536)
            except OSError:
                part = b""
            if not part:
                assert text is None, self.seen
                return
            self.seen += part.decode(errors="replace")


async def test_on_a_terminal_a_person_is_asked_and_chooses(tmp_path: Path) -> None:
    async with shop(tmp_path) as url:

        def talk() -> int:
            terminal = Terminal(cwd=tmp_path)
            terminal.answer("Address of your Prometheus", url)
            terminal.answer("Which of them?", "17")
            terminal.answer("Which of them?", "2-3")
            terminal.answer("Folder to write them into", "chosen")
            terminal.answer("Slack channel to tell", "#team")
            code = terminal.ended()
            assert "the numbers go from 1 to 6" in terminal.seen
            assert "chosen: 1 service, 2 SLOs, no faults" in terminal.seen
            return code

        assert await asyncio.to_thread(talk) == 0
    catalog = load(tmp_path / "chosen", {})
    assert {slo.key for slo in catalog.slos} == {"checkout/availability", "checkout/latency"}
    assert catalog.workspace.announcements == "#team"


async def test_ctrl_c_writes_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path) as url:

        def talk() -> int:
            terminal = Terminal("--prometheus", url, cwd=tmp_path)
            terminal.interrupt("Which of them?")
            return terminal.ended()

        assert await asyncio.to_thread(talk) == 130
    assert not (tmp_path / "policies").exists()
