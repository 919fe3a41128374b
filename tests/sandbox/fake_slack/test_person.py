"""What a person does reaches the bot as Slack would send it, and the bot's response is carried out."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.fake_slack.response_urls import LIFETIME_S, MAX_USES
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.views import TRIGGER_LIFETIME_S
from tests.sandbox.bolt_app import MANIFEST, MODAL, Json, plain
from tests.sandbox.fake_slack.test_web_api import WallClock


def text_input(text: str) -> Json:
    return {"reason": {"text": {"type": "plain_text_input", "value": text}}}


def service_choice(*names: str) -> Json:
    options = [{"text": plain(name), "value": name.lower()} for name in names]
    return {"services": {"pick": {"type": "multi_static_select", "selected_options": options}}}


class Listener:
    """A bot that records requests and responds with the given statuses."""

    def __init__(self, *statuses: int) -> None:
        self.requests: list[tuple[dict[str, str], str]] = []
        self.statuses = list(statuses)

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.text()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


async def serve_listener(listener: Listener) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_post("/slack/events", listener.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_every_request_is_signed_as_slack_signs() -> None:
    listener = Listener()
    runner, url = await serve_listener(listener)
    async with FakeSlackServer(manifest=MANIFEST, bot_url=url) as slack:
        verifier = SignatureVerifier(slack.signing_secret)
        await slack.person("dana").says("/budget checkout", "#checkout")
        await slack.person("dana").says("An event", "#checkout")
        await slack.wait_until_delivered()
        assert len(listener.requests) == 2
        for headers, body in listener.requests:
            assert verifier.is_valid_request(body, headers)
            assert not verifier.is_valid_request(body + "x", headers)
    await runner.cleanup()


async def test_a_command_carries_who_where_and_what() -> None:
    listener = Listener()
    runner, url = await serve_listener(listener)
    async with FakeSlackServer(manifest=MANIFEST, bot_url=url) as slack:
        await slack.person("dana").says("/freeze checkout for @sam see #search", "#checkout")
        fields = {key: value[0] for key, value in parse_qs(listener.requests[0][1]).items()}
        assert fields["command"] == "/freeze"
        assert fields["text"] == (f"checkout for <@U0SAM|sam> see <#{slack.find_channel('#search')}|search>")
        assert fields["user_id"] == "U0DANA"
        assert fields["channel_name"] == "checkout"
        assert {"trigger_id", "response_url", "team_id", "api_app_id"} <= set(fields)
    await runner.cleanup()


async def test_an_event_that_is_not_taken_is_sent_again_with_the_reason() -> None:
    listener = Listener(500, 500)
    runner, url = await serve_listener(listener)
    async with FakeSlackServer(manifest=MANIFEST, bot_url=url, retry_delays_s=(0.0, 0.0, 0.0)) as slack:
        await slack.person("dana").says("Hello", "#checkout")
        await slack.wait_until_delivered()
        numbers = [headers.get("X-Slack-Retry-Num") for headers, _ in listener.requests]
        assert numbers == [None, "1", "2"]
        assert listener.requests[1][0]["X-Slack-Retry-Reason"] == "http_error"
        assert len({body for _, body in listener.requests}) == 1
    await runner.cleanup()


async def test_the_bot_hears_only_what_its_manifest_subscribes_to() -> None:
    listener = Listener()
    runner, url = await serve_listener(listener)
    without_events = {key: value for key, value in MANIFEST.items() if key != "settings"}
    async with FakeSlackServer(manifest=without_events, bot_url=url) as slack:
        await slack.person("dana").says("Hello", "#checkout")
        slack.person("dana").opens_home()
        await slack.wait_until_delivered()
        assert listener.requests == []
    await runner.cleanup()


async def test_the_bot_does_not_hear_channels_that_it_is_not_in(
    slack: FakeSlackServer, received: list[Json]
) -> None:
    await slack.person("dana").says("Lunch?", "#random")
    await slack.person("dana").says("Ship?", "#checkout")
    await slack.wait_until_delivered()
    assert [event["text"] for event in received] == ["Ship?"]


async def test_a_bot_proves_its_address(slack: FakeSlackServer) -> None:
    assert await slack.verify_url()


async def test_an_answer_that_takes_too_long_is_told_to_the_person(slack: FakeSlackServer) -> None:
    ack = await slack.person("dana").says("/slow", "#checkout")
    assert ack is not None
    assert ack.error == "operation_timeout"
    note = slack.seen_by("dana", "#checkout")[-1]
    assert "operation_timeout" in note.text
    assert slack.seen_by("sam", "#checkout") == []


async def test_an_unknown_command_never_reaches_the_bot(slack: FakeSlackServer, received: list[Json]) -> None:
    await slack.person("dana").says("/nothing", "#checkout")
    assert "not a valid command" in slack.seen_by("dana", "#checkout")[-1].text
    assert received == []


async def test_an_answer_in_the_acknowledgement_is_shown_to_the_asker(slack: FakeSlackServer) -> None:
    await slack.person("dana").says("/ship checkout", "#checkout")
    assert slack.seen_by("dana", "#checkout")[-1].text == "No: checkout is frozen."
    assert slack.seen_by("sam", "#checkout") == []


async def test_a_shared_answer_replaces_the_private_one_and_is_pinned(slack: FakeSlackServer) -> None:
    dana = slack.person("dana")
    await dana.says("/budget checkout", "#checkout")
    answer = (await slack.until(lambda: slack.ephemerals("#checkout", "dana")))[0]
    await dana.acts(answer, "#checkout", "share")
    channel = slack.workspace.channel("#checkout")
    await slack.until(lambda: channel.pins)
    assert slack.ephemerals("#checkout", "dana") == []
    assert channel.pins[0][0] == slack.messages("#checkout")[-1].ts
    assert not slack.refused


async def test_a_menu_choice_reaches_the_bot_with_the_state(
    slack: FakeSlackServer, received: list[Json]
) -> None:
    dana = slack.person("dana")
    await dana.says("/budget checkout", "#checkout")
    answer = (await slack.until(lambda: slack.ephemerals("#checkout", "dana")))[0]
    option = {"text": plain("7 days"), "value": "7 days"}
    await dana.acts(answer, "#checkout", "window", selected_option=option)
    action = received[-1]["actions"][0]
    assert action["selected_option"] == option
    assert received[-1]["state"]["values"]["next"]["window"]["selected_option"] == option
    assert received[-1]["container"]["is_ephemeral"]


async def test_a_button_whose_message_was_just_rewritten_is_pressed_all_the_same(
    slack: FakeSlackServer, received: list[Json]
) -> None:
    dana = slack.person("dana")
    await dana.says("/budget checkout", "#checkout")
    answer = (await slack.until(lambda: slack.ephemerals("#checkout", "dana")))[0]
    option = {"text": plain("7 days"), "value": "7 days"}
    await dana.acts(answer, "#checkout", "window", selected_option=option, block_id="of the one before")
    assert received[-1]["actions"][0]["block_id"] == "next"


async def test_a_modal_is_filled_in_refused_and_submitted(
    slack: FakeSlackServer, received: list[Json]
) -> None:
    dana = slack.person("dana")
    await dana.says("/freeze checkout", "#checkout")
    await slack.until(lambda: dana.modal)
    assert set(await dana.submits()) == {"reason", "services"}
    assert await dana.submits(text_input("no")) == {
        "reason": "Enter at least 3 characters.",
        "services": "Please complete this required field.",
    }
    too_many = text_input("Checkout fails") | service_choice("Checkout", "Search", "Payments")
    assert await dana.submits(too_many) == {"services": "Two at most."}
    assert await dana.submits(service_choice("Checkout")) == {}
    assert dana.modal is None
    posted = (await slack.until(lambda: slack.messages("#checkout")))[-1]
    assert "Checkout fails" in posted.text
    assert received[-1]["view"]["state"]["values"]["reason"]["text"]["value"] == "Checkout fails"


async def test_an_external_menu_asks_the_bot(slack: FakeSlackServer) -> None:
    dana = slack.person("dana")
    await dana.says("/freeze checkout", "#checkout")
    view = await slack.until(lambda: dana.modal)
    assert view is not None
    answer = await dana.asks_options("find_change", "12", view=view)
    assert [option["text"]["text"] for option in answer["options"]] == ["PR-12"]


async def test_a_closed_modal_is_told_to_a_bot_that_asked(
    slack: FakeSlackServer, received: list[Json]
) -> None:
    dana = slack.person("dana")
    await dana.says("/freeze checkout", "#checkout")
    await slack.until(lambda: dana.modal)
    await dana.closes()
    assert dana.modal is None
    assert received[-1]["type"] == "view_closed"


async def test_the_home_tab_is_published_when_it_is_opened(slack: FakeSlackServer) -> None:
    riley = slack.person("riley")
    riley.opens_home()
    home = await slack.until(lambda: riley.home)
    assert home is not None
    assert home.content["blocks"][0]["text"]["text"] == "Good morning"
    assert slack.person("dana").home is None


async def test_a_trigger_opens_one_modal_within_three_seconds() -> None:
    wall = WallClock()
    async with FakeSlackServer(manifest=MANIFEST, wall=wall) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        trigger = slack.views.new_trigger("U0DANA")
        wall.seconds += TRIGGER_LIFETIME_S
        await client.views_open(trigger_id=trigger, view=MODAL)
        expired_trigger = slack.views.new_trigger("U0DANA")
        for trigger_id, error in ((trigger, "exchanged"), (expired_trigger, "expired"), ("x", "invalid")):
            wall.seconds += 0.0 if error != "expired" else TRIGGER_LIFETIME_S + 0.1
            with pytest.raises(SlackApiError, match=f"{error}_trigger_id"):
                await client.views_open(trigger_id=trigger_id, view=MODAL)


async def test_modals_are_stacked_three_high() -> None:
    async with FakeSlackServer(manifest=MANIFEST) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        await client.views_open(trigger_id=slack.views.new_trigger("U0DANA"), view=MODAL)
        modal = slack.person("dana").modal
        for _ in range(2):
            modal = slack.person("dana").modal
            assert modal is not None
            trigger = slack.views.new_trigger("U0DANA", modal.id)
            await client.views_push(trigger_id=trigger, view=MODAL)
        assert modal is not None
        trigger = slack.views.new_trigger("U0DANA", modal.id)
        with pytest.raises(SlackApiError, match="push_limit_reached"):
            await client.views_push(trigger_id=trigger, view=MODAL)


async def test_an_outdated_hash_does_not_overwrite_a_view() -> None:
    async with FakeSlackServer(manifest=MANIFEST) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        trigger = slack.views.new_trigger("U0DANA")
        view = (await client.views_open(trigger_id=trigger, view=MODAL))["view"]
        await client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL)
        with pytest.raises(SlackApiError, match="hash_conflict"):
            await client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL)


async def respond(session: aiohttp.ClientSession, url: str, **body: Any) -> tuple[int, str]:
    async with session.post(url, json={"text": "x", **body}) as response:
        return response.status, await response.text()


async def test_a_response_url_works_five_times() -> None:
    async with FakeSlackServer(manifest=MANIFEST) as slack, aiohttp.ClientSession() as session:
        url = slack.responses.new(slack.workspace.channel("#checkout"), "U0DANA")
        for _ in range(MAX_USES):
            assert await respond(session, url) == (200, "ok")
        status, body = await respond(session, url)
        assert status == 404
        assert "used_url" in body
        assert len(slack.ephemerals("#checkout", "dana")) == MAX_USES
        assert [call.error for call in slack.refused] == ["used_url"]


async def test_a_response_url_works_for_thirty_minutes() -> None:
    wall = WallClock()
    async with (
        FakeSlackServer(manifest=MANIFEST, wall=wall) as slack,
        aiohttp.ClientSession() as session,
    ):
        url = slack.responses.new(slack.workspace.channel("#checkout"), "U0DANA")
        wall.seconds += LIFETIME_S
        assert (await respond(session, url))[0] == 200
        wall.seconds += 1
        status, body = await respond(session, url)
        assert status == 404
        assert "expired_url" in body


async def test_a_response_is_held_to_the_limits_of_messages() -> None:
    async with FakeSlackServer(manifest=MANIFEST) as slack, aiohttp.ClientSession() as session:
        url = slack.responses.new(slack.workspace.channel("#checkout"), "U0DANA")
        status, body = await respond(session, url, blocks=[{"type": "nothing"}])
        assert status == 400
        assert "invalid_blocks" in body
