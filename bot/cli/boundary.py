"""The outermost boundary of the command line: whatever goes wrong becomes one clear line and an exit code."""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from bot.cli.console import INTERRUPTED, NOT_READ, UNKNOWN, complain, err
from bot.settings import SettingsError, read_settings
from bot.settings_faults import one_of, plain_fault
from bot.suggestions import did_you_mean, suggest
from bot.texts import is_name

PROGRAM = "governor"

_CHOICE = re.compile(r"'(?P<word>[^']*)' is not one of (?P<known>'.+')\.?$")


class UnknownCommandError(typer.TyperException):
    """A word that is no command. `help_of` is the command whose help lists those that are."""

    exit_code = UNKNOWN

    def __init__(self, message: str, help_of: str) -> None:
        super().__init__(message)
        self.help_of = help_of


class CommandGroup(TyperGroup):
    """Commands; of a mistyped name it says what was probably meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; without any, print the help and end."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            err.print(ctx.get_help(), markup=False)
            raise typer.Exit(UNKNOWN)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; end it where nobody reads what it prints."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _discard_output()
            raise typer.Exit(NOT_READ) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            meant = did_you_mean(suggest(name, self.list_commands(ctx), most=2))
            raise UnknownCommandError(f"there is no command `{name}`{meant}", ctx.command_path)
        return super().resolve_command(ctx, args)


def run_command(cli: typer.Typer, words: Sequence[str]) -> int:
    """Run the command that the words name and return its exit code; what a person can cause is a message."""
    if not all(is_name(word) for word in words):
        complain("an argument has control characters or bytes that are not UTF-8")
        return UNKNOWN
    try:
        code = _run(cli, words)
        sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError) as error:
        code = NOT_READ if isinstance(error, BrokenPipeError) else INTERRUPTED
        _discard_output()
    except SettingsError as error:
        complain(f"the environment cannot be used: {error}")
        code = UNKNOWN
    except OSError as error:
        # A file, a disk or an address: not the program's fault.
        complain(_os_error(error))
        _discard_output()
        code = UNKNOWN
    except Exception as error:  # noqa: BLE001 - the outermost boundary: what is printed here has no secrets
        _dump(error)
        code = UNKNOWN
    return code


def prepare_output() -> None:
    """Let standard output take every character, and what is printed go nowhere where a stream is closed.

    Programs read UTF-8, whatever the locale; a terminal that lacks a character shows `?`.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end of the program
            setattr(sys, name, nowhere)
    if isinstance(sys.stdout, TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _run(cli: typer.Typer, words: Sequence[str]) -> int:
    try:
        code = typer.main.get_command(cli).main(list(words), prog_name=PROGRAM, standalone_mode=False)
    except SystemExit as ended:
        code = ended.code
    except (typer.Exit, typer.Abort) as ended:
        code = getattr(ended, "exit_code", INTERRUPTED)
    except typer.TyperException as error:
        _refuse(error)
        code = UNKNOWN
    return code if isinstance(code, int) else 0


def _refuse(error: typer.TyperException) -> None:
    """Print what is wrong with the words that were typed, and which help lists the right ones."""
    context = getattr(error, "ctx", None)
    path = getattr(error, "help_of", None) or (context.command_path if context else PROGRAM)
    complain(f"{_usage_error(error)}\nSee `{path} --help`.")


def _usage_error(error: typer.TyperException) -> str:
    option, near = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    if option and near is not None:
        return f"there is no option {option}{did_you_mean(tuple(near)[:2])}"
    message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    where, separator, what = message.partition(": Input should be")
    if separator:
        return f"{where[:1].lower()}{where[1:]}: {plain_fault(f'Input should be{what}')}"
    choice = _CHOICE.search(message)
    if choice is not None:
        known = re.findall(r"'([^']*)'", choice["known"])
        meant = did_you_mean(suggest(choice["word"], known))
        message = f"{message[: choice.start()]}`{choice['word']}` is not {one_of(known)}{meant}"
    return message[:1].lower() + message[1:]


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else f"the output cannot be written: {reason}"


def _discard_output() -> None:
    """Send what is still to be printed nowhere, so that Python's own flush at the end does not fail again."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _dump(error: Exception) -> None:
    """Print the traceback of what nobody could have caused from outside."""
    from bot.logs import crash_dump, hide  # noqa: PLC0415 - only now needed

    with suppress(SettingsError):
        hide(read_settings().secrets)
    sys.stderr.write(crash_dump(error))
