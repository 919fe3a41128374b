"""What all commands share: consoles, exit codes, options, errors in one clear line.

Exit codes: 0 yes, 1 no (refused, faults found), 2 could not tell (usage, unreachable).
"""

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from bot.settings import read_settings
from bot.texts import is_name

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

YES, NO, UNKNOWN = 0, 1, 2
T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Url = Annotated[
    str | None,
    typer.Option(envvar="GOVERNOR_URL", help="Where the bot listens; HOST and PORT if left out."),
]


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result; what it logs goes to standard error.

    A command that ends says itself what it did: without `LOG_LEVEL`, only warnings are logged.
    """
    from bot.logs import configure_logs  # noqa: PLC0415 - `--help` needs none of it

    settings = read_settings()
    level = settings.log_level if "log_level" in settings.model_fields_set else "warning"
    configure_logs(level, settings.log_format, settings.secrets)
    return asyncio.run(work)


def run_server(work: Coroutine[Any, Any, int]) -> int:
    """Run a server until it is stopped and return its exit code; it logs what it does."""
    from bot.logs import configure_logs  # noqa: PLC0415 - as above

    settings = read_settings()
    configure_logs(settings.log_level, settings.log_format, settings.secrets)
    return asyncio.run(work)


def print_json(value: Any) -> None:
    """Print a value as JSON for machines."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def fail(message: str, code: int = UNKNOWN) -> NoReturn:
    """Print in one line why the command failed, and exit."""
    err.print(f"governor: {message}", markup=False)
    sys.exit(code)


def service_and_slo(text: str, refusal: str) -> tuple[str, str | None]:
    """Return both parts of `SERVICE[/SLO]`, or fail with what a text that is neither does."""
    service, _, slo = text.partition("/")
    if not service or "/" in slo or not is_name(text):
        fail(f"`{text}` {refusal}")
    return service, slo or None
