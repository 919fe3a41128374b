"""The command line: one function a command, no logic of its own.

Exit codes: 0 yes, 1 no (refused, faults found), 2 could not tell (usage, unreachable).
"""

import asyncio
import json
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from bot.settings import Settings, SettingsError, read_settings

cli = typer.Typer(
    name="governor",
    help="Keeps delivery speed and reliability in balance: error budgets, freezes and flags in Slack.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

YES, NO, UNKNOWN = 0, 1, 2
T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Url = Annotated[
    str | None,
    typer.Option(envvar="GOVERNOR_URL", help="Where the bot listens; HOST and PORT if left out."),
]
ServiceName = Annotated[str, typer.Argument(metavar="SERVICE", help="A service of the policies.")]


def main() -> None:
    """Run the command line; every error that a person can mend is one clear line."""
    try:
        cli()
    except SettingsError as error:
        _fail(f"the environment is not usable: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


@cli.command()
def run() -> None:
    """Serve the Slack workspace that the environment names, until stopped."""
    from bot.serving import serve  # noqa: PLC0415 - the other commands start without Slack's libraries

    settings = read_settings()
    if settings.missing_credentials:
        missing = " and ".join(settings.missing_credentials)
        _fail(f"missing in the environment: {missing}. To try the bot without Slack, run `governor sandbox`.")
    _configure_logs(settings)
    sys.exit(_run(serve(settings)))


@cli.command()
def sandbox(
    policies: Annotated[
        Path | None, typer.Option(help="Folder of policy documents; the sandbox's own shop if left out.")
    ] = None,
    speed: Annotated[float, typer.Option(min=1, help="How many times faster than real time runs.")] = 1.0,
) -> None:
    """Try the bot in the browser: a local stand-in for Slack and a shop that lives."""
    from bot.serving import serve_sandbox  # noqa: PLC0415 - as above

    settings = read_settings()
    _configure_logs(settings)
    sys.exit(_run(serve_sandbox(settings, policies=policies, speed=speed)))


@cli.command()
def check(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Folder of policy documents; POLICIES_DIR if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the policy documents and print every fault with its file, line and column."""
    from bot.policy.faults import PolicyFaults  # noqa: PLC0415
    from bot.policy.loader import load  # noqa: PLC0415

    where = folder or read_settings().policies_dir
    try:
        catalog = load(where)
    except PolicyFaults as found:
        if as_json:
            _print_json({"ok": False, "faults": [asdict(fault) for fault in found.faults]})
        else:
            for fault in found.faults:
                out.print(str(fault), markup=False)
            err.print(
                f"{len(found.faults)} fault{'s' if len(found.faults) > 1 else ''} in {where}", style="red"
            )
        sys.exit(NO)
    if as_json:
        _print_json({"ok": True, "services": sorted(catalog.services), "slos": len(catalog.slos)})
    else:
        out.print(f"{where}: {len(catalog.services)} services, {len(catalog.slos)} SLOs, no faults")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the policy documents, for editors."""
    from bot.policy.schema import json_schema  # noqa: PLC0415

    _print_json(json_schema())


@cli.command()
def budget(
    service: Annotated[
        str | None, typer.Argument(metavar="[SERVICE]", help="All services if left out.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Show how much error budget is left, asked of a running bot."""
    from bot import reports  # noqa: PLC0415

    body = _ask(url, f"services/{service}" if service else "services")
    if as_json:
        _print_json(body)
    else:
        out.print(reports.budgets([body] if service else body["services"]))


@cli.command()
def gate(  # noqa: PLR0917 - the command's own words
    service: ServiceName,
    change: Annotated[str | None, typer.Option(help="What wants to ship, such as PR-12.")] = None,
    kind: Annotated[str | None, typer.Option(help="Its kind, such as security or P0.")] = None,
    wait: Annotated[
        str | None, typer.Option(help="Wait that long for the service to open, such as 30m.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Ask whether a change may ship: exit 0 if it may, 1 if not, 2 if nobody could tell."""
    from bot import reports  # noqa: PLC0415
    from bot.client import ClientError  # noqa: PLC0415
    from bot.gatekeeper import ask_gate, parse_wait  # noqa: PLC0415

    settings = read_settings()
    try:
        patience = parse_wait(wait)
        verdict = _run(
            ask_gate(_base(settings, url), _token(settings), service, change=change, kind=kind, wait=patience)
        )
    except ValueError as error:
        _fail(str(error))
    except ClientError as error:
        _fail(str(error))
    if as_json:
        _print_json(verdict)
    else:
        out.print(reports.verdict(verdict))
    sys.exit(YES if verdict["allow"] else NO)


@cli.command()
def audit(
    since: Annotated[
        str | None, typer.Option(help="How far back: 7d, or a time such as 2026-11-23T09:00Z.")
    ] = None,
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    actor: Annotated[
        str | None, typer.Option(help="Only this Slack user id, `governor` or token name.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Print the audit log, oldest first, asked of a running bot."""
    from bot import reports  # noqa: PLC0415
    from bot.gatekeeper import parse_since  # noqa: PLC0415

    try:
        start = parse_since(since, datetime.now(UTC))
    except ValueError as error:
        _fail(str(error))
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = _ask(url, "audit", since=start, service=service, actor=actor, cursor=cursor)
        rows += page["rows"]
        cursor = page["next"]
        if cursor is None:
            break
    if as_json:
        _print_json(rows)
    else:
        out.print(reports.audit(rows))


@cli.command()
def migrate() -> None:
    """Bring the database of DATABASE_URL to this version."""
    from bot.store.migrate import upgrade  # noqa: PLC0415

    settings = read_settings()
    _configure_logs(settings)
    _run(upgrade(settings.database_url))
    out.print("the database is up to date")


@cli.command()
def manifest(
    url: Annotated[str | None, typer.Option(help="The bot's public address, https://….")] = None,
    socket: Annotated[
        bool, typer.Option("--socket", help="For Socket Mode: no public address needed.")
    ] = False,
    prefix: Annotated[str, typer.Option(help="Put before each command's name, such as acme-.")] = "",
    as_json: Json = False,
) -> None:
    """Print the Slack app manifest: commands, events and the least scopes."""
    import yaml  # noqa: PLC0415

    from bot.slack.manifest import manifest as build  # noqa: PLC0415

    document = build(url, socket=socket, prefix=prefix)
    if as_json:
        _print_json(document)
    else:
        sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _ask(url: str | None, path: str, **params: str | None) -> dict[str, Any]:
    from bot.client import ClientError, api_client  # noqa: PLC0415

    settings = read_settings()

    async def ask() -> dict[str, Any]:
        async with api_client(_base(settings, url), _token(settings)) as client:
            return await client.get(path, **params)

    try:
        return _run(ask())
    except ClientError as error:
        _fail(str(error))


def _base(settings: Settings, url: str | None) -> str:
    return url or f"http://{settings.host}:{settings.port}"


def _token(settings: Settings) -> str | None:
    token = settings.governor_api_token
    return token.get_secret_value() if token else None


def _configure_logs(settings: Settings) -> None:
    from bot.logs import configure_logs  # noqa: PLC0415

    configure_logs(settings.log_level, settings.log_format, settings.secrets)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _fail(message: str) -> NoReturn:
    err.print(f"governor: {message}", markup=False)
    sys.exit(UNKNOWN)
