"""`governor webhooks`: lists what was delivered to outgoing webhooks, and delivers an event again."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bot.cli.boundary import CommandGroup
from bot.cli.console import NO, UNKNOWN, Json, Url, fail, out, print_json, run_async
from bot.webhooks.delivery import WebhookState

webhooks = typer.Typer(
    name="webhooks",
    help="List what went to outgoing webhooks, and deliver it again.",
    no_args_is_help=True,
    cls=CommandGroup,
)


@webhooks.callback()
def _group() -> None:
    """List what went to outgoing webhooks, and deliver it again."""


@webhooks.command("list")
def listing(
    webhook: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only to this webhook of the policies.")
    ] = None,
    state: Annotated[WebhookState | None, typer.Option(help="Only those in this state.")] = None,
    event: Annotated[str | None, typer.Option(metavar="TYPE", help="Only events of this type.")] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """List the newest deliveries of a running bot, at most 100."""
    from bot.cli.api_client import get_from_bot  # noqa: PLC0415 - other commands need no client

    found = get_from_bot(url, "webhook-deliveries", webhook=webhook, state=state, event=event)["deliveries"]
    if as_json:
        print_json(found)
        return
    for delivery in found:
        out.print(_line(delivery), markup=False)
    if not found:
        out.print("nothing was delivered")


@webhooks.command()
def redeliver(
    number: Annotated[int, typer.Argument(metavar="ID", help="The number of the delivery.")],
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Deliver an event again.

    Exit 0 if it is on its way, 1 if it is refused, 2 if nobody answers.
    """
    from bot.cli.api_client import (  # noqa: PLC0415
        ClientError,
        RequestRefusedError,
        api_client,
        api_token,
        base_url,
    )
    from bot.settings import read_settings  # noqa: PLC0415

    settings = read_settings()

    async def post() -> dict[str, Any]:
        async with api_client(base_url(settings, url), api_token(settings)) as client:
            return await client.post(f"webhook-deliveries/{number}/redeliver", {})

    try:
        answer = run_async(post())
    except RequestRefusedError as error:
        fail(str(error), NO if error.status < 500 else UNKNOWN)
    except ClientError as error:
        fail(str(error))
    if as_json:
        print_json(answer)
    else:
        out.print(f"{answer['event']} is on its way to {answer['webhook']} again", markup=False)


def _line(delivery: Mapping[str, Any]) -> str:
    attempts = delivery["attempts"]
    words = [
        f"{delivery['id']:>6}",
        delivery["created_at"][:19] + "Z",
        delivery["webhook"],
        delivery["event"],
        delivery["service"] or "–",
        delivery["state"],
        "1 attempt" if attempts == 1 else f"{attempts} attempts",
    ]
    return "  ".join(words) + (f"\n        {delivery['error']}" if delivery["error"] else "")
