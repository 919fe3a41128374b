"""`governor token`: makes, lists and revokes the API tokens of CI, webhooks and scripts."""

import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from bot.cli.boundary import CommandGroup
from bot.cli.console import Json, err, fail, out, print_json, run_async
from bot.deployments.actor import Actor

tokens = typer.Typer(
    help="Make, list and revoke API tokens, in DATABASE_URL.",
    no_args_is_help=True,
    cls=CommandGroup,
)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_RESERVED = frozenset({"api", "governor", "operator"})

Name = Annotated[str, typer.Argument(metavar="NAME", help="Names the token in the audit log.")]


@tokens.command()
def create(
    name: Name,
    allow: Annotated[
        str,
        typer.Option(
            metavar="RIGHTS",
            help="Rights, separated by commas: gate:read,events:write; or all. Private incidents are shown "
            "only with incidents:read-private, beside incidents:read or audit:read.",
        ),
    ],
    actor: Annotated[
        Actor,
        typer.Option(
            help="What uses it. An agent's asks for exemptions, proves no kind of change, and marks what it "
            "deploys; AGENT_REQUESTS_PER_MINUTE limits it."
        ),
    ] = Actor.PIPELINE,
    per_minute: Annotated[
        int,
        typer.Option(metavar="NUMBER", min=1, max=1_000_000, help="How many requests a minute it may make."),
    ] = 600,
    as_json: Json = False,
) -> None:
    """Make a token and print it: it is shown this once.

    Example: `governor token create ci --allow gate:read,deployments:write`.
    """
    from bot.http.rights import UnknownRightError, read_rights  # noqa: PLC0415 - `--help` needs none of it
    from bot.store.api_tokens import TokenNameTakenError  # noqa: PLC0415

    if not _NAME.fullmatch(name) or name in _RESERVED:
        fail(
            f"`{name}` cannot be a token's name: use a-z, 0-9 and -, at most 40, none of the bot's own names"
        )
    try:
        token = run_async(_create(name, read_rights(allow, actor), per_minute, actor))
    except (UnknownRightError, TokenNameTakenError) as error:
        fail(str(error))
    if as_json:
        print_json({"name": name, "token": token})
    else:
        sys.stdout.write(f"{token}\n")
        err.print("Keep it safe: it is not shown again. Send it as `Authorization: Bearer …`.", markup=False)


@tokens.command("list")
def list_(as_json: Json = False) -> None:
    """List the tokens, what each may do and when it was last used."""
    from bot.cli import tables  # noqa: PLC0415

    listed = run_async(_list())
    if as_json:
        print_json(listed)
    else:
        out.print(tables.tokens(listed))


@tokens.command()
def revoke(name: Name, as_json: Json = False) -> None:
    """Put a token out of force, at once and for good."""
    from bot.store.api_tokens import NoSuchTokenError  # noqa: PLC0415

    try:
        run_async(_revoke(name))
    except NoSuchTokenError as error:
        fail(str(error))
    if as_json:
        print_json({"name": name, "revoked": True})
    else:
        out.print(f"{name} is revoked", markup=False)


async def _create(name: str, rights: frozenset[str], per_minute: int, actor: Actor) -> str:
    from bot.cli.database import opened_database  # noqa: PLC0415
    from bot.store import api_tokens  # noqa: PLC0415

    async with opened_database() as database, database.transaction() as connection:
        return await api_tokens.create(
            connection, name, rights, per_minute, datetime.now(UTC), actor=actor.value
        )


async def _list() -> list[dict[str, object]]:
    from bot.cli.database import opened_database  # noqa: PLC0415
    from bot.store import api_tokens  # noqa: PLC0415

    async with opened_database() as database, database.reading() as connection:
        listed = await api_tokens.all_tokens(connection)
    return [
        {
            key: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
            for key, value in asdict(token).items()
        }
        for token in listed
    ]


async def _revoke(name: str) -> None:
    from bot.cli.database import opened_database  # noqa: PLC0415
    from bot.store import api_tokens  # noqa: PLC0415

    async with opened_database() as database, database.transaction() as connection:
        await api_tokens.revoke(connection, name, datetime.now(UTC))
