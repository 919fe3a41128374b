"""The documentation's commands are run word for word, and its tables say what the code does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.http.incidents import ChangeBody, OpeningBody
from bot.http.rights import MEANING
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.settings import Settings
from bot.slack.manifest import manifest
from tests.support.paths import DOCS, ROOT
from tests.support.servers import Exporter, free_port, running_exporter, running_prometheus
from tests.support.shell_blocks import Block, Shell, blocks, shell_blocks

PAGES = (
    "install.md",
    "policies.md",
    "http-api.md",
    "operating.md",
    "production.md",
    "guides/from-incident-bots.md",
    "guides/from-slo-tools.md",
    "guides/github-gate.md",
    "guides/paging-without-the-bot.md",
    "guides/several-workspaces.md",
    "guides/troubleshooting.md",
)
"""The pages that hold commands; the first installs the program for the others."""

RUN_ELSEWHERE = ("gates.md", "agents.md", "guides/try-it.md")
"""`gates/test_snippets.py`, `cli/test_tokens_and_audit.py` and `test_setup.py` run what these pages show."""
GOES_ON = ("governor run\n",)
AT_HAND = {"docker": ["docker", "compose", "version"]}
"""What a block may need that is not everywhere, and the command that succeeds where it is."""
CHANGES = {"cluster", "machine"}
"""What a block may change that is never the tests' own; `tests/deploy` looks at what these blocks name."""


@pytest.mark.timeout(600)
async def test_the_commands_of_every_page_work_word_for_word_in_a_fresh_environment(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    copy_tree(clone)
    async with (
        FakeSlackServer(manifest=manifest("https://governor.example")) as slack,
        running_exporter() as exporter,
        running_prometheus(tmp_path, [exporter], scrape_every_s=5.0) as prometheus,
    ):
        count_the_shop(exporter)
        shell = Shell(clone, environment(tmp_path, slack, prometheus.url))
        migrated = tmp_path / "migrated"
        migrated.mkdir()
        for page in PAGES:
            await run_page(page, shell)
            if page == PAGES[0]:
                check_what_was_installed(clone / ".venv")
                migrate = Shell(migrated, shell.environ).run(Block("sh", "governor migrate"))
                assert await migrate == (0, "the database is up to date\n")
            # Each page begins as a reader of only that page does, with the program installed and migrated.
            environ = {name: value for name, value in shell.environ.items() if name != "POLICIES_DIR"}
            shell = Shell(tmp_path / page.removesuffix(".md").replace("/", "-"), environ)
            shutil.copytree(ROOT / "policies", shell.folder / "policies")
            shutil.copy(migrated / "governor.db", shell.folder)
            write_the_slos_of_other_tools(shell.folder / "slos")
            write_slos(page, shell.folder / "slos")


def write_slos(page: str, folder: Path) -> None:
    """Write the documents of other tools that a page shows, which its commands read."""
    for tool in ("sloth", "pyrra"):
        for block in blocks(DOCS / page):
            if block.info == f"yaml {tool}":
                folder.mkdir(exist_ok=True)
                (folder / f"{tool}.yaml").write_text(block.text, encoding="utf-8")


def write_the_slos_of_other_tools(folder: Path) -> None:
    """Write the documents that the guide from other tools shows, as its reader has them."""
    folder.mkdir()
    for number, block in enumerate(blocks(DOCS / "guides" / "from-slo-tools.md")):
        if block.info in {"yaml sloth", "yaml pyrra", "yaml openslo"}:
            (folder / f"{number}.yaml").write_text(block.text)


def check_what_was_installed(environment: Path) -> None:
    """Check what a wheel carries beside the modules."""
    shared = environment / "share" / "governor"
    assert {file.name for file in (shared / "policies").iterdir()} == {
        file.name for file in (ROOT / "policies").iterdir()
    }
    assert (shared / "CHANGELOG.md").read_text() == (ROOT / "CHANGELOG.md").read_text()


def count_the_shop(exporter: Exporter) -> None:
    """Count what the example's SLOs measure."""
    for service in ("checkout", "payments", "search"):
        exporter.count("http_requests_total", 5, service=service, code="200")
    for le in ("0.3", "+Inf"):
        exporter.count("http_request_duration_seconds_bucket", 5, service="checkout", le=le)
    exporter.count("http_request_duration_seconds_count", 5, service="checkout")
    exporter.count("search_index_updates_total", 5, outcome="in_time")


async def run_page(page: str, shell: Shell) -> None:
    found = shell_blocks(DOCS / page)
    assert found
    try:
        for block in found:
            if block.needs and not is_at_hand(block.needs):
                continue
            if block.text in GOES_ON:
                await shell.serve(block, f"http://127.0.0.1:{shell.environ['PORT']}")
            else:
                code, said = await shell.run(block)
                assert code == 0, f"{page}: {block.text}\n{said}"
    finally:
        await shell.stop()


def is_at_hand(what: str) -> bool:
    if what in CHANGES:
        return False
    if shutil.which(AT_HAND[what][0]) is None:
        return False
    return subprocess.run(AT_HAND[what], capture_output=True, check=False).returncode == 0


def copy_tree(to: Path) -> None:
    """Copy what a clone has and an installation reads."""
    to.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, to)
    for name in ("bot", "policies"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))


def environment(folder: Path, slack: FakeSlackServer, prometheus: str) -> dict[str, str]:
    """What somebody has set who followed the pages to their tables; nothing of this environment's own."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {
        name: value for name, value in os.environ.items() if name not in {*ours, "VIRTUAL_ENV", "PYTHONPATH"}
    }
    programs = folder / "programs"
    programs.mkdir()
    # The pages say python3.11; a machine may have it under another name or in no common folder.
    (programs / "python3.11").symlink_to(Path(sys.base_prefix) / "bin" / "python3.11")
    theirs = [
        part for part in os.environ["PATH"].split(os.pathsep) if part != str(Path(sys.executable).parent)
    ]
    return kept | {
        "PATH": os.pathsep.join([str(programs), *theirs]),
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "PROMETHEUS_URL": prometheus,
        "PORT": str(free_port()),
        "LOG_LEVEL": "warning",
        # Compiling what is never imported takes as long as all the rest.
        "PIP_NO_COMPILE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def test_no_page_has_commands_that_the_tests_do_not_run() -> None:
    shown = {
        page.relative_to(DOCS).as_posix()
        for page in DOCS.rglob("*.md")
        if any(block.info.partition(" ")[0] in {"sh", "bash", "shell", "console"} for block in blocks(page))
    }
    assert shown == {*PAGES, *RUN_ELSEWHERE}
    for page in PAGES:
        assert all(block.needs in {None, *AT_HAND, *CHANGES} for block in shell_blocks(DOCS / page))


def test_the_readme_shows_the_two_commands_that_ci_and_the_procfile_run() -> None:
    """`make test` runs this test; `make run` is started and asked in `test_setup.py`."""
    (block,) = shell_blocks(ROOT / "README.md")
    typed = [line.partition("#")[0].strip() for line in block.text.splitlines()]
    assert typed == ["make run", "make test"]
    assert [block.text for block in shell_blocks(DOCS / "guides" / "try-it.md")] == ["make run\n"]
    assert "exec make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make --no-print-directory run" in (ROOT / "Procfile").read_text(encoding="utf-8")


def test_a_command_that_needs_slack_says_what_is_missing(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    for command in ("run", "doctor"):
        ended = subprocess.run(
            [sys.executable, "-m", "bot", command],
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            check=False,
        )
        assert ended.returncode in {1, 2}
        assert "SLACK_BOT_TOKEN" in ended.stdout + ended.stderr


def test_every_right_is_documented() -> None:
    page = (DOCS / "http-api.md").read_text(encoding="utf-8")
    for right, meaning in MEANING.items():
        assert f"| `{right}` | {meaning} |" in page


def test_the_image_is_not_run_by_root_and_has_what_the_program_needs() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "USER 10001" in lines
    copied = [
        word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()
    ]
    for name in ("pyproject.toml", "constraints.txt", "README.md", "bot"):
        assert name in copied
        assert (ROOT / name).exists()


def test_what_another_incident_bot_reports_is_taken_by_the_api() -> None:
    (body,) = [block for block in blocks(DOCS / "guides" / "from-incident-bots.md") if block.info == "json"]
    report = OpeningBody.model_validate_json(body.text)
    assert report.services == ["checkout"]
    for change in re.findall(
        r"`(\{\"[^`]+\})`", (DOCS / "guides" / "from-incident-bots.md").read_text(encoding="utf-8")
    ):
        assert ChangeBody.model_validate_json(change).model_fields_set


def test_the_five_values_that_a_first_workspace_changes_are_in_the_example() -> None:
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    section = page.partition("## 2. Write the first policies")[2].partition("\n## ")[0]
    rows = [row.split("|")[1:3] for row in section.splitlines() if row.startswith("| ")][1:]
    assert len(rows) == 5
    for values, file in rows:
        named = re.findall(r"`([^`]+\.yaml)`", file) or ["workspace.yaml", "checkout.yaml"]
        texts = [(ROOT / "policies" / name).read_text(encoding="utf-8") for name in named]
        for value in re.findall(r"`([^`]+)`", values):
            pattern = ".*".join(map(re.escape, value.split("…")))
            assert all(re.search(pattern, text) for text in texts), value
