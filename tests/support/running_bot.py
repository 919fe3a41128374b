"""The whole bot running in this process on a free port, with a fake Slack server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Table, func, select

from bot.app.governor import Governor
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.settings import Settings
from bot.slack.manifest import manifest
from bot.store.encryption import new_key
from bot.store.tables.core import metadata
from tests.stories.conftest import POLICIES
from tests.support.running import write_policies
from tests.support.stores import file_with_tables

TOKEN = "token-of-the-whole-bot"
GITHUB_SECRET = "github-secret-of-the-whole-bot"
GITLAB_SECRET = "gitlab-secret-of-the-whole-bot"
JIRA_SECRET = "jira-secret-of-the-whole-bot"
# Tables that the bot writes to without any request.
_BACKGROUND_TABLES = frozenset(
    {
        "slos",
        "buckets",
        "standings",
        "replicas",
        "leases",
        "requests",
        "outbox",
        "forecasts",
        "forecast_scores",
    }
)


@dataclass
class RunningBot:
    """A running bot and its fake Slack."""

    governor: Governor
    slack: FakeSlackServer

    @property
    def url(self) -> str:
        return self.governor.url

    async def rows(self) -> dict[str, int]:
        """Return the number of rows of each table that only requests write to."""
        tables: list[Table] = [
            table for table in metadata.sorted_tables if table.name not in _BACKGROUND_TABLES
        ]
        async with self.governor.database.reading() as connection:
            return {
                table.name: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
                for table in tables
            }


@asynccontextmanager
async def start_bot(
    folder: Path,
    url: str | None = None,
    *,
    text: str = POLICIES,
    public_url: str | None = None,
    **settings_more: str,
) -> AsyncIterator[RunningBot]:
    """Run the bot, on SQLite unless an address is given; at exit stop it as a signal would.

    `text` are its policies; with `public_url`, links below it are shown in Slack. `settings_more` are
    further settings.
    """
    policies = write_policies(folder, text)
    file = folder / "governor.db"
    if url is None and not file.exists():
        file.write_bytes(await file_with_tables())
    async with FakeSlackServer(manifest=manifest("https://governor.example")) as slack:
        settings = Settings.model_validate(
            {
                "slack_bot_token": slack.bot_token,
                "slack_signing_secret": slack.signing_secret,
                "slack_api_url": slack.api_url,
                "policies_dir": str(policies),
                "database_url": url or f"sqlite+aiosqlite:///{file}",
                "governor_api_token": TOKEN,
                "github_webhook_secret": GITHUB_SECRET,
                "gitlab_webhook_secret": GITLAB_SECRET,
                "jira_webhook_secret": JIRA_SECRET,
                "slack_client_id": "111.222",
                "slack_client_secret": "client-secret-of-the-whole-bot",
                "governor_encryption_key": new_key(),
                "port": 0,
                "governor_url": public_url,
            }
            | settings_more
        )
        async with Governor(settings) as governor:
            slack.bot_url = governor.url
            running = asyncio.create_task(governor.run())
            try:
                yield RunningBot(governor, slack)
            finally:
                governor.stop()
                await running
