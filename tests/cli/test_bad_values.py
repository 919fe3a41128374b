"""Whatever a person can get wrong is a message that says what is right, with a documented exit code.

One process runs nearly all of them, through the same boundary as the program.
"""

import json
import logging
import os
import shlex
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import structlog

from bot.cli import progress
from bot.cli.boundary import run_command
from bot.cli.main import cli
from bot.settings import Settings
from tests.cli.test_command_tree import GROUPS_ALONE, NAMES
from tests.policy.conftest import SERVICE, WORKSPACE
from tests.support.ctrl_c import interrupt
from tests.support.paths import ROOT

NOBODY = "http://127.0.0.1:9"
CREDENTIALS = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "8f742231b10e8888abcd99", "PORT": "0"}
WORKS = {name: name for name in NAMES} | {
    "check": "check nowhere",
    "import": "import nowhere",
    "convert": "convert nowhere --to openslo",
    "explain": "explain checkout",
    "where": "where checkout",
    "gate": "gate checkout",
    "audit archive": "audit archive --before 400d --to archive.jsonl",
    "token create": "token create ci --allow gate:read",
    "token revoke": "token revoke ci",
    "deploy record": "deploy record --service checkout --commit 3f1c2ab",
    "webhooks redeliver": "webhooks redeliver 1",
}
"""Each command with words that it takes."""
ASK_NOBODY = {"key", "schema", "check", "import", "init", "convert", "manifest", *GROUPS_ALONE}
DATABASE = [
    "migrate",
    "token create",
    "token list",
    "token revoke",
    "audit export",
    "audit verify",
    "backtest",
]
BOT = ["budget", "explain", "where", "velocity", "gate", "audit", "deploy record", "deploy import"]
BOT += ["webhooks list", "webhooks redeliver"]

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in an empty folder and environment, and leave the logs as they were."""
    for name in (*map(str.upper, Settings.model_fields), "GITHUB_SHA", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Return a function that runs a command line and returns what it printed; it must fail, and say why."""

    def run(line: str, code: int = 2, **environ: str) -> str:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert run_command(cli, shlex.split(line)) == code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err + printed.out
        assert "Warning" not in printed.err
        text = printed.err if code == 2 else printed.err + printed.out
        assert text.strip()
        return text

    return run


def policies(folder: Path) -> Path:
    """Write policies without faults."""
    (folder / "policies").mkdir()
    (folder / "policies" / "all.yaml").write_text(f"{WORKSPACE}---\n{SERVICE}")
    return folder / "policies"


@pytest.mark.parametrize("words", NAMES)
def test_a_mistyped_option_is_named_with_the_right_one(words: str, refused: Refused) -> None:
    text = refused(f"{words} --hepl")
    assert "there is no option --hepl; did you mean " in text
    assert "--help" in text.partition("did you mean")[2].splitlines()[0]
    assert f"See `governor {words}".rstrip() in text


@pytest.mark.parametrize("words", [name for name in NAMES if name not in GROUPS_ALONE])
def test_a_mistyped_command_is_named_with_the_right_one(words: str, refused: Refused) -> None:
    *groups, name = words.split()
    assert f" {name}" in refused(" ".join([*groups, f"{name}x"])).partition("; did you mean")[2]


@pytest.mark.parametrize("words", sorted(set(NAMES) - ASK_NOBODY))
@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("LOG_LEVEL", "inof", "did you mean info?"),
        ("DATABASE_URL", "mysql://h/db", "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST:5432/NAME"),
        ("SLACK_BOT_TOKEN", "xapp-1-A", "the one that begins with xoxb-… belongs here"),
    ],
)
def test_a_wrong_setting_is_named_by_every_command(
    words: str, variable: str, value: str, right: str, refused: Refused
) -> None:
    text = refused(WORKS[words], **{variable: value})
    assert f"{variable}: " in text
    assert right in text
    assert value not in text


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("PORT", "http", "write a whole number from 0 to 65535"),
        ("PORT", "65536", "write a whole number from 0 to 65535"),
        ("HTTP_CONNECTIONS", "1", "write a whole number from 10"),
        ("LOG_FORMAT", "jsno", "write json or console; did you mean json?"),
        ("SLACK_APP_TOKEN", "xoxb-1", "the one that begins with xapp-… belongs here"),
        ("SLACK_SIGNING_SECRET", "xoxb-1", "copy *Signing Secret*"),
        ("SLACK_COMMAND_PREFIX", "Ä", "lower-case letters"),
        ("GITHUB_APP_ID", "a b", "write the App's id"),
        ("GITHUB_APP_PRIVATE_KEY", "/nowhere", "neither a private key in PEM nor a file"),
        ("DATABASE_URL", "governor.db", "write sqlite:///FILE"),
        ("DATABASE_URL", "sqlite:governor.db", "write sqlite:///FILE"),
        ("DATABASE_URL", "sqlite:///governor.db?mode=ro", "write sqlite:///FILE"),
        ("DATABASE_URL", "postgresql://h:99999/db", "write sqlite:///FILE"),
        ("DATABASE_URL", "postgresql://[::1/db", "write sqlite:///FILE"),
        ("DATABASE_URL", "postgres://h/db?sslmod=require", "`sslmod`, which is not one of sslmode"),
        ("DATABASE_URL", "postgres://h/db?sslmode=on", "`sslmode` is not disable"),
        *(
            (name, value, "write an address such as https://")
            for name in (
                "GOVERNOR_URL", "SLACK_API_URL", "SLACK_REDIRECT_URL", "GITHUB_API_URL", "GITLAB_URL",
                "TERRAFORM_URL",
            )
            for value in ("example.com", "http://[::", "https://h:99999", "ftp://h", "https://", "http://a b")
        ),
    ],
)  # fmt: skip
def test_a_setting_says_what_belongs_there(variable: str, value: str, right: str, refused: Refused) -> None:
    text = refused("run", **CREDENTIALS | {variable: value})
    assert f"{variable}: " in text
    assert right in text


@pytest.mark.parametrize("value", ["INFO", " Warning "])
def test_log_levels_in_any_case_are_taken(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", value)
    assert Settings().log_level == value.strip().lower()


@pytest.mark.parametrize("words", BOT)
@pytest.mark.parametrize(
    ("url", "right"),
    [(NOBODY, "is it running? (connection refused)"), ("nowhere", "is not an address: write --url")],
)
def test_a_bot_that_cannot_be_asked(words: str, url: str, right: str, refused: Refused) -> None:
    assert right in refused(f"{WORKS[words]} --url {url}")


@pytest.mark.parametrize("words", BOT)
def test_a_token_that_no_header_carries(words: str, refused: Refused) -> None:
    assert "GOVERNOR_API_TOKEN has" in refused(WORKS[words], GOVERNOR_API_TOKEN="gov_1\n")


class Refuses(BaseHTTPRequestHandler):
    """Takes no token, and speaks no TLS."""

    def do_GET(self) -> None:
        """Answer 401."""
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b'{"detail": "no"}')

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_refused_token_is_that_of_the_environment_and_tls_has_its_own_errors(refused: Refused) -> None:
    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        Thread(target=server.serve_forever).start()
        address = f"127.0.0.1:{server.server_port}"
        assert "no (GOVERNOR_API_TOKEN is not set here)" in refused(f"budget --url http://{address}")
        sent = refused(f"gate checkout --url http://{address}", GOVERNOR_API_TOKEN="gov_1")
        assert "no (GOVERNOR_API_TOKEN is the one that was sent)" in sent
        assert "is it running? (TLS: " in refused(f"budget --url https://{address}")
        server.shutdown()


@pytest.mark.parametrize("words", ["gate", "budget"])
def test_a_service_without_a_name_is_no_address(words: str, refused: Refused) -> None:
    assert "a name is empty: name a service" in refused(f"{words} ''")


@pytest.mark.parametrize("words", DATABASE)
@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("sqlite:///missing/governor.db", "there is no folder missing: make it"),
        ("sqlite:////proc", "/proc is a folder: name a file in it"),
        ("sqlite:////dev/full", "disk is full: /dev/full"),
        ("sqlite:///junk.db", "file is not a database: junk.db"),
        ("postgresql://u:secret@127.0.0.1:9/db", "PostgreSQL cannot be reached at 127.0.0.1:9"),
        ("postgres://u:secret@127.0.0.1:9/db?sslmode=require", "PostgreSQL cannot be reached at 127.0.0.1:9"),
        ("sqlite:///newer.db", "version 9999"),
    ],
)
def test_a_database_that_cannot_be_used(
    words: str, url: str, right: str, refused: Refused, tmp_path: Path
) -> None:
    policies(tmp_path)
    Path("junk.db").write_bytes(b"no database" * 1_000)
    with sqlite3.connect("newer.db") as newer:
        newer.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        newer.execute("INSERT INTO alembic_version VALUES ('9999')")
    newer.close()
    text = refused(WORKS[words], DATABASE_URL=url)
    assert right in text
    assert "secret" not in text


def test_doctor_names_a_database_that_cannot_be_used(refused: Refused) -> None:
    assert "there is no folder missing" in refused("doctor", 1, DATABASE_URL="sqlite:///missing/governor.db")


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({"POLICIES_DIR": "nowhere"}, "nowhere: the folder does not exist"),
        ({"POLICIES_DIR": "file.yaml"}, "there is no Workspace document"),
        ({"DATABASE_URL": "sqlite:///missing/governor.db"}, "there is no folder missing"),
        ({"DATABASE_URL": "postgres://u@127.0.0.1:9/db"}, "PostgreSQL cannot be reached at 127.0.0.1:9"),
        ({"HOST": "192.0.2.1"}, "cannot listen on 192.0.2.1:0: "),
        ({"PORT": "taken"}, "cannot listen on 127.0.0.1:"),
    ],
)
def test_run_says_why_it_cannot_start(
    change: dict[str, str], right: str, refused: Refused, tmp_path: Path
) -> None:
    policies(tmp_path)
    Path("file.yaml").write_text("[]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        change = {name: value.replace("taken", str(taken.getsockname()[1])) for name, value in change.items()}
        environ = CREDENTIALS | {"SLACK_API_URL": NOBODY, "LOG_LEVEL": "error"} | change
        assert right in refused("run", 1, **environ)


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("gate checkout --if-unavailable opne", "`opne` is not open or closed; did you mean open?"),
        ("token create ci --allow gate:read --actor agnt", "did you mean agent?"),
        ("token create ci --allow gate:raed", "did you mean gate:read?"),
        ("token create ci --allow ''", "name at least one right"),
        ("token create CI --allow all", "use a-z, 0-9 and -"),
        ("token create ci --allow all --per-minute x", "write a whole number"),
        ("deploy record --service a --commit b --state suceeded", "did you mean succeeded?"),
        ("deploy record --service a --commit b --actor robot", "is not person, pipeline or agent"),
        ("deploy record --service a", "--commit 3f1c2ab"),
        ("webhooks list --state delivred", "did you mean delivered?"),
        ("webhooks redeliver first", "write a whole number"),
        ("audit export --format cvs", "did you mean csv?"),
        ("audit --since then", "neither a duration (7d) nor a time"),
        ("gate checkout --wait soon", "write 30s, 5m or 2h"),
        ("gate checkout --wait 999d", "at most 30d"),
        ("gate", "missing argument 'SERVICE'"),
        ("gate a b", "unexpected extra argument"),
        ("gate --change", "requires an argument"),
        ("explain a/b/c", "write SERVICE/SLO"),
        ("explain a/", "write SERVICE/SLO"),
        ("where a/b/c", "write SERVICE or SERVICE/SLO"),
        ("velocity --since 0d", "at most 366d"),
        ("velocity --since soon", "write one such as 30d"),
        ("backtest --since soon", "write one such as 90d"),
        ("deploy import --since soon", "--since: "),
        ("rules --wirte x", "did you mean --write"),
        ("convert", "missing option '--to'. Choose from: openslo\n"),
        ("convert --to sloth", "openslo"),
        ("sandbox --speed fast", "write a number"),
        ("sandbox --speed inf", "less than or equal to 1000"),
        ("sandbox --policies nowhere", "there is no folder nowhere"),
        ("manifest", "Write --url with the address where Slack reaches the bot"),
        ("manifest --url http://h", "`http://h` is not an https:// address. Write --url"),
        ("manifest --socket --prefix Ä", "lower-case letters"),
        ("mcp", "set GOVERNOR_API_TOKEN"),
        ("check\x07", "control characters"),
        ("budgte", "did you mean budget"),
        ("zzz", "there is no command `zzz`"),
        ("", "Usage: governor"),
        ("token", "Usage: governor token"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_refused_with_the_right_one(line: str, right: str, refused: Refused) -> None:
    assert right in refused(line, DATABASE_URL="sqlite:///governor.db", GOVERNOR_URL=NOBODY)


@pytest.mark.parametrize("folder", ["nowhere", "/etc/hostname"])
@pytest.mark.parametrize("command", ["check", "rules", "convert --to openslo"])
def test_policies_that_cannot_be_read_are_faults(command: str, folder: str, refused: Refused) -> None:
    assert f"in {folder}" in refused(f"{command} {folder}", 1)


def test_what_no_one_can_have_caused_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.encryption.new_key", lambda: 1 / 0)
    assert run_command(cli, ["key"]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_progress_is_a_line_in_a_while_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = 0.0
    lines = progress.Lines(lambda: now_s)
    for now_s in (1.0, 29.0, 31.0, 40.0, 62.0):
        lines.show(f"after {now_s:g} s")
    assert capsys.readouterr().err == "after 31 s\nafter 62 s\n"


def program(words: str, **environ: str) -> subprocess.Popen[str]:
    """Start the real program, without HOME and with just these variables."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **environ}
    command = [sys.executable, "-m", "bot", *shlex.split(words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT
    )


@pytest.mark.parametrize("words", ["schema", "sandbox"])
def test_a_closed_pipe_ends_the_command_quietly(words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with program(words, PORT=port, LOG_LEVEL="error") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == ""


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "bot", "schema"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (ended.returncode, ended.stderr) == (
        2, "governor: the output cannot be written: No space left on device\n"
    )  # fmt: skip


def test_a_sandbox_asks_nothing_of_whoever_has_its_address() -> None:
    asked: list[str] = []

    class Other(Refuses):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever).start()
        with program("sandbox", PORT=str(server.server_port)) as process:
            printed, errors = process.communicate(timeout=60)
        server.shutdown()
    assert process.returncode == 1
    assert "address already in use" in errors
    assert (printed, asked) == ("", [])


def test_a_sandbox_may_listen_on_an_address_of_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
        port = free.getsockname()[1]
    with program("sandbox", HOST="::1", PORT=str(port), LOG_LEVEL="error") as process:
        assert process.stdout is not None
        welcome = [process.stdout.readline() for _ in range(5)]
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert f"open http://[::1]:{port} in" in welcome[1]
    assert f"export HOST=::1 PORT={port} GOVERNOR_API_TOKEN=" in welcome[3]


def test_programs_read_utf_8_in_any_locale() -> None:
    with program("schema", PYTHONIOENCODING="ascii") as process:
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert not printed.isascii()
    assert json.loads(printed)["title"] == "Governor policy document"


def test_a_file_whose_name_is_no_text_is_named_nevertheless(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("kind: Other\n")
    with program(f"check {tmp_path}") as process:
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{tmp_path}/\\udcff.yaml:1:1: " in printed
    assert "Traceback" not in errors


def test_a_closed_output_takes_what_is_printed() -> None:
    command = ["sh", "-c", f"exec {shlex.quote(sys.executable)} -m bot key >&-"]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_ctrl_c_ends_a_program_that_starts() -> None:
    code = (
        "import runpy, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'bot.cli.main': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "runpy.run_module('bot', run_name='__main__')\n"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_ctrl_c_ends_a_command_that_waits() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    with silent, program("budget", GOVERNOR_URL=url) as process:
        asking, _ = silent.accept()
        with asking:
            asking.recv(1_000)
            interrupt(process)
            _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


def test_colours_are_never_printed_under_no_color() -> None:
    with program("check nowhere", FORCE_COLOR="1", NO_COLOR="1") as process:
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "\x1b" not in printed + errors
