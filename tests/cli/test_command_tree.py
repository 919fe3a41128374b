"""Every command: `--json`, its place in the documentation, and help that fits 80 columns."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from bot.cli.main import cli
from tests.support.paths import ROOT

PRINT_NO_DATA = {"run", "sandbox", "mcp"}
"""Commands that serve until they are stopped."""
GROUPS_ALONE = {"", "token", "deploy", "webhooks"}
"""Groups that do nothing without a command of theirs."""

DOCUMENT = (ROOT / "docs" / "command-line.md").read_text()


def commands(command: Any, context: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """Yield every command and group: its words, itself, and its context."""
    yield " ".join(path), command, context
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, type(context)(child, info_name=name, parent=context), (*path, name))


def tree() -> list[tuple[str, Any, Any]]:
    root = typer.main.get_command(cli)
    return list(commands(root, root.make_context("governor", ["--help"], resilient_parsing=True)))


TREE = {words: (command, context) for words, command, context in tree()}
NAMES = sorted(TREE)


def test_the_walk_sees_commands_and_commands_of_groups() -> None:
    assert {"run", "gate", "token create", "audit", "audit verify", "deploy import"} <= set(NAMES)


@pytest.mark.parametrize("words", [name for name in NAMES if name not in PRINT_NO_DATA | GROUPS_ALONE])
def test_whatever_prints_data_prints_json(words: str) -> None:
    options = {option for parameter in TREE[words][0].params for option in parameter.opts}
    assert "--json" in options


@pytest.mark.parametrize("words", [name for name in NAMES if name not in GROUPS_ALONE])
def test_every_command_and_its_json_is_documented(words: str) -> None:
    row = next(line for line in DOCUMENT.splitlines() if line.startswith(f"| `governor {words}` |"))
    has_json = not row.rstrip("| ").endswith("–")
    assert has_json == (words not in PRINT_NO_DATA)


@pytest.mark.parametrize("words", NAMES)
def test_help_is_whole_in_80_columns(words: str) -> None:
    command, context = TREE[words]
    lines = command.get_help(context).splitlines()
    assert [
        line for line in lines if len(line) > 80 or (line.rstrip().endswith("...") and "[" not in line)
    ] == []
    assert [line for line in lines if "<" in line and "list[" in line] == []
    first = command.help.split("\n\n")[0]
    assert first.rstrip().endswith("."), first


@pytest.mark.parametrize("words", NAMES)
def test_examples_in_the_help_stand_on_one_line_and_are_real(words: str) -> None:
    command, context = TREE[words]
    for example in re.findall(r"Example: `([^`]*)`", command.help or ""):
        assert f"  Example: `{example}`." in command.get_help(context).splitlines()
        assert example.startswith(f"governor {words}")
        used = set(re.findall(r"(?<= )--[a-z-]+", example))
        assert used <= {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("code", ["0", "1", "2", "130", "141"])
def test_exit_codes_are_documented(code: str) -> None:
    assert f"\n| {code} | " in DOCUMENT


def test_the_command_line_starts_without_what_only_the_bot_needs() -> None:
    """Completion starts it at each press of the tab key: these libraries take longer than all the rest."""
    heavy = {"sqlalchemy", "slack_bolt", "slack_sdk", "aiohttp", "structlog", "promql_parser"}
    program = f"import sys, bot.cli.main; print(*sorted(sys.modules.keys() & {heavy}))"
    started = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert started.stdout.split() == []
