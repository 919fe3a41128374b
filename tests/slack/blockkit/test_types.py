"""What the bot sends to Slack is what Slack's own TypeScript types allow, field by field.

`tsc --strict` reads one file in which the manifest and every message, form and home tab stand as literals
(only of literals does it refuse a field too many), and after them the same with one field misspelt, each of
which it must refuse.
"""

import copy
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.fake_slack.slack_facts import METHODS
from bot.slack.command_reference import COMMANDS
from bot.slack.manifest import manifest
from tests.support.npm import installed
from tests.support.sent_messages import FORMS, Body, SentMessages, charts, everything

PACKAGES = ("@slack/types@3.2.0", "@slack/web-api@8.2.0", "typescript@5.9.3")

# What Slack has and the newest types, these, do not know yet. `NoChart` and `NoCanvases` fail to compile once
# they do, and then both are to go.
# - The block `data_visualization` (https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block):
#   `Chart` is what that page says.
# - The bot scope `canvases:write`, without which Slack refuses `canvases.edit`.
NEW_SCOPE = "canvases:write"
WORDS = ("type", "style", "bot", "bot_events")
"""Fields whose values are words of a fixed list."""

Path_ = tuple[str | int, ...]

# `Listed` takes the index signature away: it would allow any field at the manifest's top.
TYPES = """\
import type { HomeView, KnownBlock, ModalView } from '@slack/types';
import type { AppsManifestCreateArguments } from '@slack/web-api';

type Manifest = AppsManifestCreateArguments['manifest'];
type Scope = NonNullable<NonNullable<NonNullable<Manifest['oauth_config']>['scopes']>['bot']>[number];
type Listed<T> = { [K in keyof T as string extends K ? never : K]: T[K] };
type Chart = {
  type: 'data_visualization';
  block_id?: string;
  title: string;
  chart: {
    type: 'line';
    series: { name: string; data: { label: string; value: number }[] }[];
    axis_config: { categories: string[]; x_label?: string; y_label?: string };
  };
};
export const NoCanvases: 'canvases:write' extends Scope ? false : true = true;
export const NoChart: 'data_visualization' extends KnownBlock['type'] ? false : true = true;
type Blocks = (KnownBlock | Chart)[];
type App = Listed<Manifest>;
type Message = { text: string; blocks: Blocks };
type Modal = Omit<ModalView, 'blocks'> & { blocks: Blocks };
type Home = Omit<HomeView, 'blocks'> & { blocks: Blocks };
"""


@pytest.fixture
async def sent(tmp_path: Path) -> SentMessages:
    return await everything(tmp_path)


def manifests() -> list[Body]:
    both = [
        manifest("https://governor.example"),
        manifest(None, socket=True),
        manifest("https://governor.example", prefix="acme-"),
    ]
    for made in both:
        made["oauth_config"]["scopes"]["bot"].remove(NEW_SCOPE)
    return both


def test_the_scope_that_the_types_do_not_know_is_one_that_slack_asks_for() -> None:
    assert METHODS["canvases.edit"].scopes == (NEW_SCOPE,)


async def test_what_is_sent_is_what_slacks_types_allow(sent: SentMessages, tmp_path: Path) -> None:
    named = {"App": manifests(), "Message": sent.messages, "Modal": sent.modals, "Home": sent.homes}
    wrong = list(misspelt(named))
    right = [f"({json.dumps(body)}) satisfies {kind};" for kind, bodies in named.items() for body in bodies]
    refused = [
        f"// @ts-expect-error {why}\n({json.dumps(body)}) satisfies {kind};" for kind, why, body in wrong
    ]
    assert len(sent.messages) > 100
    assert len(wrong) > 100
    said = compiled(tmp_path, "\n".join([TYPES, *right, *refused]))
    assert said == ""


async def test_everything_that_the_bot_can_send_is_among_it(sent: SentMessages) -> None:
    assert {view["callback_id"] for view in sent.modals} == set(FORMS)
    messages = json.dumps(sent.messages)
    for command in COMMANDS:
        assert f"/{command.name}" in messages
    assert len(sent.homes) >= 2
    # Whether charts keep Slack's limits, the stand-in has looked at (`tests/sandbox/test_block_kit.py`).
    assert charts(sent.messages)
    assert {"Error budgets, the least left first", "What may ship", "What is frozen", "Open incidents"} <= {
        block["caption"]
        for body in sent.messages
        for block in body["blocks"]
        if block["type"] == "data_table"
    }
    assert all(message["text"] for message in sent.messages)


def misspelt(named: Mapping[str, list[Body]]) -> Iterator[tuple[str, str, Body]]:
    """Yield bodies with one field or one word of a fixed list misspelt: each of every kind of object once."""
    seen: set[tuple[str, str, str]] = set()
    for kind, bodies in named.items():
        for body in sorted(bodies, key=lambda body: len(json.dumps(body))):
            for path, key in fields(body, ()):
                owner = str(within(body, path).get("type") or [kind, *path][-1])
                if (kind, owner, key) not in seen:
                    seen.add((kind, owner, key))
                    for why, broken in broken_at(body, path, key):
                        yield kind, f"{owner}.{key}: {why}", broken


def broken_at(body: Body, path: Path_, key: str) -> Iterator[tuple[str, Body]]:
    renamed = copy.deepcopy(body)
    holder = within(renamed, path)
    holder[f"{key}x"] = holder.pop(key)
    yield "no such field", renamed
    if key in WORDS:
        changed = copy.deepcopy(body)
        holder = within(changed, path)
        holder[key] = "nonsense" if isinstance(holder[key], str) else [*holder[key], "nonsense"]
        yield "no such word", changed


def fields(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield path, key
            yield from fields(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from fields(inner, (*path, index))


def within(value: Any, path: Path_) -> Any:
    for step in path:
        value = value[step]
    return value


def compiled(folder: Path, source: str) -> str:
    """Return what the compiler says against the source, nothing where all is well."""
    node, packages = installed(*PACKAGES)
    (folder / "node_modules").symlink_to(packages / "node_modules")
    (folder / "sent.ts").write_text(source, encoding="utf-8")
    options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"]
    done = subprocess.run(
        [str(node), str(packages / "node_modules/typescript/bin/tsc"), *options, "sent.ts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return "\n".join(line[:400] for line in done.stdout.splitlines()[:20])
