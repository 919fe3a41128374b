"""A small Bolt app for the tests of the fake Slack and the page, with a listener for every interaction."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from tests.sandbox.samples import BUDGET, EVERYTHING, HOME, MANIFEST, MODAL, Json, option, plain

__all__ = ["MANIFEST", "MODAL", "Json", "build", "plain"]


def build(*, token: str, api_url: str, secret: str, received: list[Json]) -> web.Application:
    """Build the app; what it receives is appended to `received`."""
    bolt = AsyncApp(
        # Without a name Bolt looks for one in the sources of all that is loaded.
        name="sandbox",
        client=AsyncWebClient(token=token, base_url=api_url),
        signing_secret=secret,
        raise_error_for_unhandled_request=False,
    )
    _add_commands(bolt, received)
    _add_actions(bolt, received)
    _add_views(bolt, received)
    _add_events(bolt, received)

    async def receive(request: web.Request) -> web.Response:
        response = await bolt.async_dispatch(await to_bolt_request(request))
        return await to_aiohttp_response(response)

    app = web.Application()
    app.router.add_post("/slack/events", receive)
    return app


def _add_commands(bolt: AsyncApp, received: list[Json]) -> None:
    @bolt.command("/budget")
    async def budget(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="checkout has 12% left", blocks=BUDGET)

    @bolt.command("/shop")
    async def everything(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="Everything", blocks=EVERYTHING)

    @bolt.command("/ship")
    async def ship(ack: Any, command: Json) -> None:
        received.append(command)
        await ack(f"No: {command['text']} is frozen.")

    @bolt.command("/slow")
    async def slow(command: Json) -> None:
        received.append(command)

    @bolt.command("/freeze")
    async def freeze(ack: Any, command: Json, client: AsyncWebClient) -> None:
        received.append(command)
        await ack()
        await client.views_open(trigger_id=command["trigger_id"], view=MODAL)


def _add_actions(bolt: AsyncApp, received: list[Json]) -> None:
    @bolt.action("share")
    async def share(ack: Any, body: Json, respond: Any, client: AsyncWebClient) -> None:
        received.append(body)
        await ack()
        await respond(delete_original=True)
        posted = await client.chat_postMessage(
            channel=body["channel"]["id"], text="checkout has 12% left", blocks=BUDGET[:3]
        )
        await client.pins_add(channel=posted["channel"], timestamp=posted["ts"])

    @bolt.action("ask")
    async def ask(ack: Any, body: Json, client: AsyncWebClient) -> None:
        received.append(body)
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

    @bolt.action(re.compile("forget|window|more|who|where|day|hour|ticks|radios"))
    async def other(ack: Any, body: Json) -> None:
        received.append(body)
        await ack()

    @bolt.options("find_change")
    async def changes(ack: Any, payload: Json) -> None:
        received.append(payload)
        await ack(options=[option(f"PR-{payload['value']}")])


def _add_views(bolt: AsyncApp, received: list[Json]) -> None:
    @bolt.view("freeze")
    async def submitted(ack: Any, view: Json, body: Json, client: AsyncWebClient) -> None:
        values = view["state"]["values"]
        received.append(body)
        if len(values["services"]["pick"]["selected_options"]) > 2:
            await ack(response_action="errors", errors={"services": "Two at most."})
            return
        await ack()
        await client.chat_postMessage(
            channel="#checkout",
            text=f":snowflake: *checkout is frozen* by <@{body['user']['id']}>: "
            f"{values['reason']['text']['value']}",
            metadata={"event_type": "freeze", "event_payload": {"key": "freeze-1"}},
        )

    @bolt.view_closed("freeze")
    async def closed(ack: Any, body: Json) -> None:
        received.append(body)
        await ack()


def _add_events(bolt: AsyncApp, received: list[Json]) -> None:
    @bolt.event("app_home_opened")
    async def opened(event: Json, client: AsyncWebClient) -> None:
        received.append(event)
        await client.views_publish(user_id=event["user"], view=HOME)

    async def record(event: Json) -> None:
        received.append(event)

    for kind in ("message", "reaction_added", "channel_archive", "member_joined_channel"):
        bolt.event(kind)(record)
