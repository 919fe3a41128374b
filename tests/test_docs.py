"""The documentation's commands are run word for word, and its tables say what the code does."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.http.described import DESCRIBED
from bot.http.rights import MEANING

ROOT = Path(__file__).parents[1]
PAGES = ("install.md", "http-api.md", "operating.md")
NEEDS_SLACK = ("governor run", "governor doctor")
NEEDS_A_BOT = ("GOVERNOR_URL=",)
# Run in a fresh virtual environment by whoever installs; here the program is installed already.
INSTALLS = ("python3.11 -m venv", ".venv/bin/pip")


def commands(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LOG_LEVEL": "warning",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/governor.db",
    }
    words = shlex.split(command)
    assert words[0] == "governor", command
    return subprocess.run(
        [sys.executable, "-m", "bot", *words[1:]],
        capture_output=True,
        text=True,
        env=env,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_the_page_work_as_they_stand(page: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    assert run("governor migrate", tmp_path).returncode == 0
    ran = 0
    for command in commands(page):
        if not command.startswith((*NEEDS_SLACK, *NEEDS_A_BOT, *INSTALLS)):
            ended = run(command, tmp_path)
            assert ended.returncode == 0, f"{command}: {ended.stderr}"
            ran += 1
    assert ran >= 4


def test_a_command_that_needs_slack_says_what_is_missing(tmp_path: Path) -> None:
    for command in NEEDS_SLACK:
        ended = run(command, tmp_path)
        assert ended.returncode in {1, 2}
        assert "SLACK_BOT_TOKEN" in ended.stdout + ended.stderr


def test_every_route_and_right_is_documented() -> None:
    page = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
    for method, path in DESCRIBED:
        assert f"`{method} {path}`" in page, f"{method} {path} is not documented"
    for right, meaning in MEANING.items():
        assert f"| `{right}` | {meaning} |" in page


def test_every_file_that_a_page_points_to_exists() -> None:
    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "SECURITY.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_image_is_not_run_by_root_and_has_what_the_program_needs() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "USER 10001" in lines
    copied = [
        word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()
    ]
    for name in ("pyproject.toml", "constraints.txt", "README.md", "bot"):
        assert name in copied
        assert (ROOT / name).exists()
