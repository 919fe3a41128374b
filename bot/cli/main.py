"""The command line: one function a command, no logic of its own.

Exit codes are in `console.py`, and explained in docs/command-line.md.
"""

import os
import sys
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.audit import audit
from bot.cli.backtest import backtest
from bot.cli.boundary import PROGRAM, CommandGroup, prepare_output, run_command
from bot.cli.check import check
from bot.cli.console import NO, YES, Json, Url, err, fail, out, print_json, run_async, run_server
from bot.cli.deployments.deploy import deploy
from bot.cli.doctor import doctor
from bot.cli.explain import explain
from bot.cli.mcp import mcp
from bot.cli.policies.convert import convert
from bot.cli.policies.import_slos import import_slos
from bot.cli.policies.init import init
from bot.cli.policies.rules import rules
from bot.cli.tokens import tokens
from bot.cli.velocity import velocity
from bot.cli.webhooks import webhooks
from bot.cli.where import where
from bot.settings import read_settings

cli = typer.Typer(
    name=PROGRAM,
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Unavailable(StrEnum):
    """What to do while the gate cannot be asked."""

    OPEN = "open"
    CLOSED = "closed"


ServiceName = Annotated[str, typer.Argument(metavar="SERVICE", help="A service of the policies.")]


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        out.print(f"governor {version('governor')}")
        raise typer.Exit(YES)


@cli.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    """Keep delivery speed and reliability in balance: error budgets, freezes and flags in Slack."""


def main() -> None:
    """Run the command line; errors that a person can fix are printed as one clear line."""
    prepare_output()
    sys.exit(run_command(cli, sys.argv[1:]))


@cli.command()
def run() -> None:
    """Serve the Slack workspace of the environment, until stopped."""
    settings = read_settings()
    if settings.missing_credentials:
        missing = " and ".join(settings.missing_credentials)
        if "GOVERNOR_ENCRYPTION_KEY" in missing:
            fail(f"missing in the environment: {missing}. `governor key` prints a new encryption key.")
        fail(f"missing in the environment: {missing}. To try the bot without Slack, run `governor sandbox`.")
    from bot.serving import serve  # noqa: PLC0415 - the other commands start without Slack's libraries

    sys.exit(run_server(serve(settings)))


@cli.command()
def sandbox(
    policies: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of policy documents; the sandbox's own shop if left out."),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(metavar="NUMBER", min=1, max=1_000, help="How many times faster than real time runs."),
    ] = 1.0,
) -> None:
    """Try the bot in the browser, without Slack.

    A local stand-in for Slack, and a shop with traffic.

    Example: `governor sandbox --speed 60`.
    """
    settings = read_settings()
    from bot.serving import START_OVER, serve_sandbox  # noqa: PLC0415 - as above

    if policies is not None and not policies.exists():
        fail(f"--policies: there is no folder {policies}")
    if settings.port == 0:
        fail("PORT: the sandbox needs a port of its own: write one from 1 to 65535")
    code = run_server(serve_sandbox(settings, policies=policies, speed=speed))
    if code == START_OVER:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very program
    sys.exit(code)


cli.command()(init)
cli.command()(check)
# Typer's help shows the type of a list of arguments: the further ones are those that are left.
cli.command("import", context_settings={"allow_extra_args": True})(import_slos)
cli.command()(rules)
cli.command()(convert)


@cli.command()
def schema(
    _as_json: Annotated[
        bool, typer.Option("--json", help="The schema is JSON, with this or without.")
    ] = False,
) -> None:
    """Print the JSON Schema of the policy documents, for editors."""
    from bot.policy.documents.json_schema import json_schema  # noqa: PLC0415

    print_json(json_schema())


@cli.command()
def budget(
    service: Annotated[
        str | None, typer.Argument(metavar="SERVICE", help="All services if left out.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Show how much error budget is left, asked of a running bot.

    Example: `governor budget checkout --json`.
    """
    from bot.cli import tables  # noqa: PLC0415
    from bot.cli.api_client import get_from_bot, path_of  # noqa: PLC0415

    body = get_from_bot(url, path_of("services", service) if service is not None else "services")
    if as_json:
        print_json(body)
    else:
        out.print(tables.budgets([body] if service is not None else body["services"]))


cli.command()(explain)
cli.command()(where)
cli.command()(velocity)
cli.command()(backtest)


@cli.command()
def gate(  # noqa: PLR0917 - the command's own options
    service: ServiceName,
    change: Annotated[
        str | None, typer.Option(metavar="CHANGE", help="The change to ship, such as PR-12.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Its kind, such as security or P0.")
    ] = None,
    proof: Annotated[
        str | None,
        typer.Option(metavar="PROOF", help="What proves its kind, such as CVE-2026-1234 or 'incident 12'."),
    ] = None,
    commit: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="Its commit, which an exemption may name.")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Where it ships to, such as staging; any freeze bars it if left out."
        ),
    ] = None,
    wait: Annotated[
        str | None, typer.Option(metavar="TIME", help="Wait this long for the service to open, such as 30m.")
    ] = None,
    if_unavailable: Annotated[
        Unavailable, typer.Option(help="What an unreachable bot means at the end of the wait.")
    ] = Unavailable.CLOSED,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Ask whether a change may ship.

    Exit 0 if it may, 1 if not, 2 if nobody could tell.

    Example: `governor gate checkout --change PR-12 --wait 30m`.
    """
    from bot.cli import tables  # noqa: PLC0415
    from bot.cli.api_client import ClientError, api_token, base_url  # noqa: PLC0415
    from bot.cli.gate import ask_gate, is_unavailable, parse_wait  # noqa: PLC0415

    settings = read_settings()
    try:
        duration = parse_wait(wait)
        verdict = run_async(
            ask_gate(
                base_url(settings, url),
                api_token(settings),
                service,
                change=change,
                kind=kind,
                proof=proof,
                commit=commit,
                environment=environment,
                wait=duration,
            )
        )
    except ValueError as error:
        fail(str(error))
    except ClientError as error:
        if if_unavailable is Unavailable.CLOSED or not is_unavailable(error):
            fail(str(error))
        err.print(f"governor: {error}; going on, as --if-unavailable open says", markup=False)
        sys.exit(YES)
    if as_json:
        print_json(verdict)
    else:
        out.print(tables.verdict(verdict))
    sys.exit(YES if verdict["allow"] else NO)


@cli.command()
def migrate(as_json: Json = False) -> None:
    """Bring the database of DATABASE_URL to this version."""
    from bot.cli.database import migrate_database  # noqa: PLC0415

    before, after = run_async(migrate_database())
    if as_json:
        print_json({"before": before, "after": after})
    else:
        out.print("the database is up to date")


@cli.command()
def manifest(
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="GOVERNOR_URL", help="The bot's public address, https://…, also for links."
        ),
    ] = None,
    socket: Annotated[
        bool, typer.Option("--socket", help="For Socket Mode: no public address needed.")
    ] = False,
    prefix: Annotated[
        str,
        typer.Option(
            metavar="PREFIX",
            envvar="SLACK_COMMAND_PREFIX",
            help="Put before each command's name, such as acme-.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Print the manifest of the Slack app.

    Commands, events and the least scopes.

    Example: `governor manifest --url https://governor.example.com`.
    """
    import yaml  # noqa: PLC0415

    from bot.slack.manifest import manifest as build  # noqa: PLC0415

    try:
        document = build(url, socket=socket, prefix=prefix)
    except ValueError as error:
        fail(str(error))
    if as_json:
        print_json(document)
    else:
        sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


@cli.command()
def key(as_json: Json = False) -> None:
    """Print a new key for GOVERNOR_ENCRYPTION_KEY.

    It encrypts the tokens of Slack workspaces in the database.
    """
    from bot.store.encryption import new_key  # noqa: PLC0415

    made = new_key()
    if as_json:
        print_json({"key": made})
    else:
        sys.stdout.write(f"{made}\n")


cli.command()(doctor)
cli.command()(mcp)
cli.add_typer(tokens, name="token")
cli.add_typer(audit, name="audit")
cli.add_typer(deploy, name="deploy")
cli.add_typer(webhooks, name="webhooks")
