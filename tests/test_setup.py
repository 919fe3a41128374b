"""What a newcomer relies on before reading any code: the Makefile, the Procfile, the README."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import aiohttp

from bot.settings import Settings
from tests.support.paths import ROOT
from tests.support.running import eventually
from tests.support.servers import find_program, free_port

README = (ROOT / "README.md").read_text()


def test_every_setting_is_in_the_readme() -> None:
    for name in Settings.model_fields:
        assert f"`{name.upper()}`" in README, f"{name.upper()} is not documented"


def test_every_file_that_the_readme_points_to_exists() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_pins_are_exact_and_name_no_address() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line]
    assert pins
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", pin) for pin in pins)


async def test_the_procfile_starts_the_sandbox_without_credentials(tmp_path: Path) -> None:
    find_program("make")
    port = free_port()
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LOG_FORMAT": "json"}
    with (tmp_path / "log").open("wb") as log:
        honcho = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond
            [sys.executable, "-m", "honcho", "-f", str(ROOT / "Procfile"), "start", "--port", str(port)],
            cwd=ROOT,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    async def answers() -> int:
        assert honcho.poll() is None, (tmp_path / "log").read_text()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/readyz") as ready,
            ):
                return ready.status
        except aiohttp.ClientError:
            return 0

    try:
        await eventually(answers, lambda status: status == 200, within_s=60)
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as page:
            assert page.content_type == "text/html"
        honcho.send_signal(signal.SIGTERM)
        await eventually(_polled(honcho), lambda code: code is not None)
    finally:
        if honcho.poll() is None:
            os.killpg(honcho.pid, signal.SIGKILL)


def _polled(process: subprocess.Popen[bytes]) -> Callable[[], Awaitable[int | None]]:
    async def poll() -> int | None:
        return process.poll()

    return poll


def test_the_newest_version_says_what_to_do_when_upgrading_to_it() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    told = (ROOT / "docs" / "upgrading.md").read_text()
    assert re.search(rf"^### To {re.escape(newest[1])}\b", told, re.MULTILINE)


def test_the_version_is_the_newest_in_the_changelog() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert version("governor") == newest[1]
    said = subprocess.run(
        [sys.executable, "-m", "bot", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"governor {newest[1]}\n"
