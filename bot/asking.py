"""How a command asks a running bot: address and token from the settings, faults in one clear line."""

from typing import Any

from bot.cli.api_client import ClientError, api_client
from bot.cli.console import fail, finish
from bot.settings import Settings, read_settings


def ask_bot(url: str | None, path: str, **params: str | None) -> dict[str, Any]:
    """Return the JSON object at `/api/v1/{path}` of the bot at `url`; ends the command where it cannot."""
    settings = read_settings()

    async def ask() -> dict[str, Any]:
        async with api_client(base_of(settings, url), token_of(settings)) as client:
            return await client.get(path, **params)

    try:
        return finish(ask())
    except ClientError as error:
        fail(str(error))


def base_of(settings: Settings, url: str | None) -> str:
    """Return where the bot listens."""
    return url or f"http://{settings.host}:{settings.port}"


def token_of(settings: Settings) -> str | None:
    """Return the API token of the environment."""
    token = settings.governor_api_token
    return token.get_secret_value() if token else None
