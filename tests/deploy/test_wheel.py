"""The wheel and the source distribution, installed where nothing else is and used as a person would."""

import os
import re
import sqlite3
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bot.settings import Settings
from tests.support.paths import ROOT
from tests.support.servers import Server, free_port
from tests.support.wheel import built, installed_alone

pytestmark = pytest.mark.xdist_group("wheel")
OURS = {*(name.upper() for name in Settings.model_fields), "PYTHONPATH", "VIRTUAL_ENV"}
DEVELOPERS_ONLY = {"bot/store/migrations/script.py.mako"}
"""What only drafts new migrations."""


@dataclass(frozen=True)
class Installation:
    """What was built, and the environment that has it."""

    wheel: Path
    sdist: Path
    environment: Path
    folder: Path

    @property
    def policies(self) -> Path:
        """The example that is installed beside the program."""
        return self.environment / "share" / "governor" / "policies"

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables of somebody who set nothing yet."""
        kept = {name: value for name, value in os.environ.items() if name not in OURS}
        return kept | {"HOME": str(self.folder)}

    @property
    def program(self) -> str:
        """The command `governor`."""
        return str(self.environment / "bin" / "governor")

    def run(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run `governor` far from the checkout."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(name="installed", scope="module")
def fixture_installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("wheel")
    wheel, sdist = built(folder)
    empty = folder / "elsewhere"
    empty.mkdir()
    return Installation(wheel, sdist, installed_alone(wheel, folder), empty)


def tracked(*folders: str) -> set[str]:
    done = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


def test_the_wheel_has_every_file_of_the_program_and_the_example(installed: Installation) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    data = installed.wheel.name.removesuffix("-py3-none-any.whl") + ".data/data/share/governor/"
    shared = {data + name for name in (*tracked("policies"), "CHANGELOG.md")}
    assert names == (tracked("bot") - DEVELOPERS_ONLY) | shared


def test_the_source_distribution_has_what_installing_it_reads(installed: Installation) -> None:
    with tarfile.open(installed.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "constraints.txt", "README.md", "CHANGELOG.md", "LICENSE", "Dockerfile"}
    wanted |= tracked("bot", "policies", "deploy", "docs") - DEVELOPERS_ONLY
    assert wanted <= names
    assert not [name for name in names if name.startswith(("tests", "bench", "."))]


def test_it_is_the_wheel_that_runs_and_says_its_version(installed: Installation) -> None:
    python = str(installed.environment / "bin" / "python")
    said = subprocess.run(
        [python, "-c", "import bot; print(bot.__file__)"],
        cwd=installed.folder,
        env=installed.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(said.stdout.strip()).is_relative_to(installed.environment)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert installed.run("--version").stdout == f"governor {newest[1]}\n"


def test_the_example_policies_are_right_and_a_database_is_made(installed: Installation) -> None:
    checked = installed.run("check", str(installed.policies), "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    database = installed.folder / "new.db"
    migrated = installed.run("migrate", DATABASE_URL=f"sqlite:///{database}")
    assert (migrated.returncode, migrated.stdout) == (0, "the database is up to date\n"), migrated.stderr
    with sqlite3.connect(database) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert version == max(name.name[:4] for name in (ROOT / "bot/store/migrations/versions").glob("0*.py"))


def test_the_shell_learns_its_commands(installed: Installation) -> None:
    for shell in ("bash", "zsh"):
        script = installed.run(_GOVERNOR_COMPLETE=f"source_{shell}")
        assert script.returncode == 0
        assert "_GOVERNOR_COMPLETE=complete_" in script.stdout
    offered = installed.run(_GOVERNOR_COMPLETE="complete_bash", COMP_WORDS="governor sand", COMP_CWORD="1")
    assert offered.stdout.split() == ["sandbox"]


async def test_the_sandbox_serves_its_page(installed: Installation) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    cleared = [f"--unset={name}" for name in sorted(OURS)]
    chosen = [f"PORT={port}", "LOG_LEVEL=warning"]
    server = Server(
        ["env", f"--chdir={installed.folder}", *cleared, *chosen, installed.program, "sandbox"],
        installed.folder,
        lambda: _status(f"{url}/readyz"),
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(url) as session:
            async with session.get("/") as page:
                assert (page.status, page.content_type) == (200, "text/html")
                assert "<script" in await page.text()
            async with session.get("/llms.txt") as text:
                assert (text.status, text.content_type) == (200, "text/plain")
    finally:
        await server.stop()


async def _status(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
