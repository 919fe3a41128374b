"""What all commands share: consoles, exit codes, options, errors in one clear line.

Exit codes: 0 yes, 1 no (refused, faults found), 2 could not tell (usage, unreachable), 130 stopped with
Ctrl-C, 141 nobody reads what is printed.
"""

import asyncio
import json
import os
import sys
import textwrap
from collections.abc import Coroutine
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer
from rich.console import Console

from bot.settings import Settings, SettingsError, read_settings
from bot.texts import is_name


class TextConsole(Console):
    """A console that breaks no line by itself, and prints no control sequence under `NO_COLOR`."""

    def __init__(self, *, stderr: bool = False) -> None:
        color_system: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True, color_system=color_system)

    def on_broken_pipe(self) -> None:
        """Leave to the command line's boundary what to do where nobody reads any more."""
        raise  # noqa: PLE0704 - it is called while the error is handled


out = TextConsole()
err = TextConsole(stderr=True)

YES, NO, UNKNOWN, INTERRUPTED, NOT_READ = 0, 1, 2, 130, 141
T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL", envvar="GOVERNOR_URL", help="Where the bot listens; HOST and PORT if left out."
    ),
]


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result; what it logs goes to standard error.

    A command that ends says itself what it did: without `LOG_LEVEL`, only warnings are logged.
    """
    settings = _settings_for(work)
    level = settings.log_level if "log_level" in settings.model_fields_set else "warning"
    return _run(work, settings, level)


def run_server(work: Coroutine[Any, Any, int]) -> int:
    """Run a server until it is stopped and return its exit code; it logs what it does."""
    settings = _settings_for(work)
    return _run(work, settings, settings.log_level)


def _settings_for(work: Coroutine[Any, Any, Any]) -> Settings:
    try:
        return read_settings()
    except SettingsError:
        work.close()
        raise


def _run(work: Coroutine[Any, Any, T], settings: Settings, level: str) -> T:
    from bot.logs import configure_logs  # noqa: PLC0415 - `--help` needs none of it

    configure_logs(level, settings.log_format, settings.secrets)
    return asyncio.run(work)


def broken_at_words(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text in lines that fit the width and break at words, the further ones indented.

    A word that is longer than a line, such as an address, stays whole.
    """
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def wrapped(text: str, indent: str = "") -> str:
    """Return a text for standard output in lines that fit it, the further ones indented."""
    return "\n".join(broken_at_words(text, out.width, indent))


def say(text: str, indent: str = "    ") -> None:
    """Print a sentence in lines that break at words."""
    out.print(wrapped(text, indent), markup=False)


def print_json(value: Any) -> None:
    """Print a value as JSON for machines."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def fail(message: str, code: int = UNKNOWN) -> NoReturn:
    """Print why the command failed, and exit."""
    complain(message)
    sys.exit(code)


def complain(message: str) -> None:
    """Print to standard error what is wrong: a line, which breaks at words on a terminal only."""
    line = f"governor: {message}"
    if err.is_terminal:
        line = "\n".join("\n".join(broken_at_words(part, err.width)) for part in line.splitlines())
    err.print(line, markup=False)


def service_and_slo(text: str, refusal: str) -> tuple[str, str | None]:
    """Return both parts of `SERVICE[/SLO]`, or fail with what a text that is neither does."""
    service, _, slo = text.partition("/")
    if not service or "/" in slo or text.endswith("/") or not is_name(text):
        fail(f"`{text}` {refusal}")
    return service, slo or None
