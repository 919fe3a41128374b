"""What each of the contract's files must contain by the present code."""

import asyncio
import tempfile
from pathlib import Path

from bot.cli.main import cli
from bot.http.openapi import document
from bot.policy.documents.json_schema import json_schema
from bot.slack.manifest import manifest
from tests.contract import descriptions
from tests.contract.audit_actions import AuditActions
from tests.support.paths import ROOT
from tests.support.running_bot import start_bot

FOLDER = ROOT / "tests" / "contract"


def contents() -> dict[str, str]:
    """Return the text of each file by its name."""
    with tempfile.TemporaryDirectory() as folder:
        running = asyncio.run(_of_a_running_bot(Path(folder)))
    return running | {
        "audit-actions.txt": "".join(f"{action}\n" for action in AuditActions(ROOT / "bot").find()),
        "command-line.txt": descriptions.command_line_help(cli, "governor"),
        "policies.schema.json": descriptions.json_text(descriptions.inlined(json_schema())),
        "slash-commands.json": descriptions.slash_commands(manifest(None, socket=True)),
    }


async def _of_a_running_bot(folder: Path) -> dict[str, str]:
    async with start_bot(folder) as bot:
        return {
            "metrics.txt": descriptions.metrics(bot.governor.metrics.registry),
            "openapi.json": descriptions.json_text(document(bot.governor.server.app)),
        }
