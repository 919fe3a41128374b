"""The manifest asks for what the code uses, no more, within Slack's limits; every command is documented."""

import ast
import json
from pathlib import Path

import jsonschema
import pytest

from bot.slack.commands import COMMANDS, as_markdown
from bot.slack.manifest import SCOPES, bot_scopes, manifest

HERE = Path(__file__).parents[2]
FAMILIES = (
    "auth",
    "bots",
    "bookmarks",
    "canvases",
    "chat",
    "conversations",
    "files",
    "pins",
    "team",
    "usergroups",
    "users",
    "views",
)


def methods_called() -> set[str]:
    """Every Web API method that the Slack room calls on a client."""
    found: set[str] = set()
    for source in (HERE / "bot" / "slack").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                family, _, method = node.func.attr.partition("_")
                on_client = ast.unparse(node.func.value).endswith("client")
                if family in FAMILIES and method and on_client:
                    found.add(f"{family}.{method.replace('canvases_', 'canvases.')}")
    return found


def test_scopes_are_those_of_the_methods_called() -> None:
    assert methods_called() == set(SCOPES)


@pytest.mark.parametrize(
    "made", [manifest("https://governor.example"), manifest(None, socket=True, prefix="acme-")]
)
def test_manifest_keeps_slacks_limits(made: dict) -> None:  # type: ignore[type-arg]
    about = made["display_information"]
    assert len(about["name"]) <= 35
    assert len(about["description"]) <= 140
    assert 175 <= len(about["long_description"]) <= 4000
    assert len(made["features"]["slash_commands"]) <= 50
    for command in made["features"]["slash_commands"]:
        assert command["command"].startswith("/")
        assert command["command"] == command["command"].lower()
        assert len(command["command"]) <= 32
        assert 0 < len(command["description"]) <= 2000
        assert len(command["usage_hint"]) <= 1000
    assert made["oauth_config"]["scopes"]["bot"] == bot_scopes()


@pytest.mark.parametrize(
    "made",
    [
        manifest("https://governor.example"),
        manifest(None, socket=True),
        manifest("https://governor.example", prefix="acme-"),
    ],
)
def test_the_published_schema_accepts_the_manifest(made: dict) -> None:  # type: ignore[type-arg]
    schema = json.loads((HERE / "tests/slack/published/manifest.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in validator.iter_errors(made)] == []
    for part in ("display_information", "features", "oauth_config", "settings"):
        assert not validator.is_valid(made | {part: made[part] | {"surplus": True}})


def test_prefix_renames_the_commands_and_socket_mode_needs_no_address() -> None:
    made = manifest(None, socket=True, prefix="acme-")
    assert made["features"]["slash_commands"][0]["command"] == "/acme-budget"
    assert "url" not in made["features"]["slash_commands"][0]
    assert made["settings"]["socket_mode_enabled"]
    with pytest.raises(ValueError, match="Socket Mode"):
        manifest(None)


def test_address_is_the_same_however_it_is_given() -> None:
    for url in ("https://x.example", "https://x.example/", "https://x.example/slack/events"):
        made = manifest(url)
        assert made["settings"]["interactivity"]["request_url"] == "https://x.example/slack/events"


def test_every_command_is_documented() -> None:
    page = (HERE / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == as_markdown()
    assert all(f"## /{command.name}" in page for command in COMMANDS)
