"""Renders the documented template of Argo CD's notifications for an application, and posts what comes of it.

Of Go's text/template and Sprig there is what the template uses, as they do it.
"""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.support.paths import DOCS
from tests.support.running_bot import TOKEN, RunningBot
from tests.support.shell_blocks import blocks

_APPLICATIONS = json.loads((Path(__file__).parent / "argocd_applications.json").read_text())
_ACTION = re.compile(r"\{\{ ?(.*?) ?(-?)\}\}(?:(?<=-\}\})\s*)?", re.DOTALL)
_TOKEN = re.compile(r'"[^"]*"|[()]|[^\s()]+')


def config_map() -> dict[str, str]:
    """Return the documented ConfigMap's data."""
    (block,) = [each for each in blocks(DOCS / "deployments.md") if "argocd-notifications-cm" in each.text]
    data: dict[str, str] = yaml.safe_load(block.text)["data"]
    return data


def application(name: str) -> dict[str, Any]:
    """Return an Application as Argo CD stores it, for a test to change."""
    found: dict[str, Any] = copy.deepcopy(_APPLICATIONS[name])
    return found


def notification(application: dict[str, Any]) -> dict[str, Any]:
    """Return the body that the documented template makes of an application."""
    template = yaml.safe_load(config_map()["template.governor-deployment"])["webhook"]["governor"]
    assert (template["method"], template["path"]) == ("POST", "/webhooks/argocd")
    body: dict[str, Any] = json.loads(render(template["body"], application))
    return body


async def notify(running_bot: RunningBot, body: object, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
    """Post a notification; return the status and the JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    url = f"{running_bot.url}/webhooks/argocd"
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


def render(template: str, application: dict[str, Any]) -> str:
    """Return what Argo CD sends of a template for an application."""
    context = {"argocdUrl": "https://argocd.example.com"}
    variables: dict[str, Any] = {"": {"app": application, "context": context}}
    parts, at = [], 0
    for action in _ACTION.finditer(template):
        parts += [("text", template[at : action.start()]), ("action", action[1])]
        at = action.end()
    return "".join(_rendered(iter([*parts, ("text", template[at:])]), variables))


def _rendered(parts: Iterator[tuple[str, str]], variables: dict[str, Any]) -> Iterator[str]:
    for kind, text in parts:
        if kind == "text":
            yield text
        elif text == "end":
            return
        elif assigned := re.fullmatch(r"\$(\w+) := (.*)", text):
            variables[assigned[1]] = _value(assigned[2], variables)
        elif looped := re.fullmatch(r"range \$(\w+), \$(\w+) := (.*)", text):
            within = list(_block(parts))
            for index, each in enumerate(_value(looped[3], variables) or ()):
                yield from _rendered(iter(within), variables | {looped[1]: index, looped[2]: each})
        elif text.startswith("if "):
            within = list(_block(parts))
            if _value(text.removeprefix("if "), variables):
                yield from _rendered(iter(within), variables)
        else:
            yield str(_value(text, variables))


def _block(parts: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    depth = 1
    for kind, text in parts:
        if kind == "action":
            depth += text.startswith(("if ", "range ")) - (text == "end")
            if depth == 0:
                return
        yield kind, text


def _value(text: str, variables: dict[str, Any]) -> Any:
    return _call(iter(_TOKEN.findall(text)), variables)


def _call(tokens: Iterator[str], variables: dict[str, Any]) -> Any:
    values: list[Any] = []
    for token in tokens:
        if token == ")":
            break
        values.append(_call(tokens, variables) if token == "(" else _word(token, variables))
    return values[0](*values[1:]) if callable(values[0]) else values[0]


def _word(token: str, variables: dict[str, Any]) -> Any:
    if token.startswith('"'):
        return token[1:-1]
    if token in _FUNCTIONS:
        return _FUNCTIONS[token]
    name, *fields = token.removeprefix("$").split(".")
    value = variables[name]
    for field in fields:
        # A key that is missing gives a value that is missing; one that is null is an error in Go.
        value = None if value is None else value.get(field)
    return value


_FUNCTIONS: dict[str, Any] = {
    "toJson": json.dumps,
    "default": lambda other, value: value or other,
    "dict": {},
    "pick": lambda values, *names: {name: values[name] for name in names if name in values},
    "printf": lambda form, *values: form % values,
}
