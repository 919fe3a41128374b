"""The manifest asks for what the code uses, no more, within Slack's limits; every command is documented."""

import ast
import inspect
import json
import re
from collections.abc import Iterator

import jsonschema
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.fake_slack.slack_facts import METHODS
from bot.slack.command_reference import COMMANDS, as_markdown
from bot.slack.manifest import SCOPES, bot_scopes, manifest
from tests.support.paths import ROOT

API_CALL = re.compile(r"api_call\(\s*\"([\w.]+)\"")
METHODS_OF_CLIENT = {
    name: match[1]
    for name, method in inspect.getmembers(AsyncWebClient, inspect.isfunction)
    if (match := API_CALL.search(inspect.getsource(method)))
}
"""Which Web API method each method of Slack's client calls."""


def methods_called(source: str) -> set[str]:
    """Every Web API method that a module calls, by the client's methods or by its name."""
    return set(_called(ast.parse(source), inside=""))


def _called(node: ast.AST, inside: str) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inside = node.name
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in METHODS_OF_CLIENT:
            yield METHODS_OF_CLIENT[node.func.attr]
        elif node.func.attr == "api_call" and inside not in {"api_call", "_checked_call", "_answered_call"}:
            named = [
                *node.args,
                *(keyword.value for keyword in node.keywords if keyword.arg == "api_method"),
            ][:1]
            is_told = named and isinstance(named[0], ast.Constant)
            yield str(ast.literal_eval(named[0])) if is_told else ast.unparse(node)
    for child in ast.iter_child_nodes(node):
        yield from _called(child, inside)


def test_methods_are_found_however_they_are_called() -> None:
    assert methods_called("""
async def f(client):
    await client.conversations_setTopic(channel="C1")
    await client.conversations_canvases_create(channel_id="C1")
    await client.api_call("blocks.validate", params={})
    await self._client.api_call(api_method="apps.connections.open")
    await client.api_call(method)
""") == {
        "conversations.setTopic",
        "conversations.canvases.create",
        "blocks.validate",
        "apps.connections.open",
        "client.api_call(method)",
    }


def test_scopes_are_those_of_the_methods_called() -> None:
    room = [path for path in (ROOT / "bot").rglob("*.py") if "sandbox" not in path.parts]
    called = {method for path in room for method in methods_called(path.read_text(encoding="utf-8"))}
    assert called == set(SCOPES)


def test_each_method_has_scopes_that_slack_asks_for_it() -> None:
    for method, scopes in SCOPES.items():
        # What the stand-in leaves out is called with the app's own credentials or none.
        required = set(METHODS[method].scopes) if method in METHODS else set()
        assert set(scopes) <= required, method
        assert bool(scopes) == bool(required), method


@pytest.mark.parametrize(
    "document", [manifest("https://governor.example"), manifest(None, socket=True, prefix="acme-")]
)
def test_manifest_keeps_slacks_limits(document: dict) -> None:  # type: ignore[type-arg]
    about = document["display_information"]
    assert len(about["name"]) <= 35
    assert len(about["description"]) <= 140
    assert 175 <= len(about["long_description"]) <= 4000
    assert len(document["features"]["slash_commands"]) <= 50
    for command in document["features"]["slash_commands"]:
        assert command["command"].startswith("/")
        assert command["command"] == command["command"].lower()
        assert len(command["command"]) <= 32
        assert 0 < len(command["description"]) <= 2000
        assert len(command["usage_hint"]) <= 1000
    has_links = "unfurl_domains" in document["features"]
    assert document["oauth_config"]["scopes"]["bot"] == bot_scopes(links=has_links)


@pytest.mark.parametrize(
    "document",
    [
        manifest("https://governor.example"),
        manifest(None, socket=True),
        manifest("https://governor.example", socket=True),
        manifest("https://governor.example", prefix="acme-"),
    ],
)
def test_the_published_schema_accepts_the_manifest(document: dict) -> None:  # type: ignore[type-arg]
    schema = json.loads((ROOT / "tests/slack/published/manifest.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in validator.iter_errors(document)] == []
    for part in ("display_information", "features", "oauth_config", "settings"):
        assert not validator.is_valid(document | {part: document[part] | {"surplus": True}})


def test_prefix_renames_the_commands_and_socket_mode_needs_no_address() -> None:
    document = manifest(None, socket=True, prefix="acme-")
    assert document["features"]["slash_commands"][0]["command"] == "/acme-budget"
    assert "url" not in document["features"]["slash_commands"][0]
    assert document["settings"]["socket_mode_enabled"]
    with pytest.raises(ValueError, match="Socket Mode"):
        manifest(None)


def test_address_is_the_same_however_it_is_given() -> None:
    for url in ("https://x.example", "https://x.example/", "https://x.example/slack/events"):
        document = manifest(url)
        assert document["settings"]["interactivity"]["request_url"] == "https://x.example/slack/events"


def test_links_need_a_domain_that_slack_can_reach() -> None:
    without = manifest(None, socket=True)
    assert "link_shared" not in without["settings"]["event_subscriptions"]["bot_events"]
    assert not {"links:read", "links:write"} & set(without["oauth_config"]["scopes"]["bot"])
    for url in ("http://governor.example", "https://[::1]", "https://"):
        assert manifest(url, socket=True) == without
    document = manifest("https://Governor.example:8443/bot", socket=True)
    assert document["features"]["unfurl_domains"] == ["governor.example"]
    assert {"link_shared", "entity_details_requested"} <= set(
        document["settings"]["event_subscriptions"]["bot_events"]
    )
    assert {"links:read", "links:write"} <= set(document["oauth_config"]["scopes"]["bot"])


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == as_markdown()
    assert all(f"## /{command.name}" in page for command in COMMANDS)
