"""API tokens: hashed, with rights and rates, refused at once when revoked."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import select

from bot.http.auth import CALLER, EnvironmentToken, require_token
from bot.http.problems import problems
from bot.http.rights import ALL, MEANING, Right, UnknownRightError, read_rights
from bot.http.tokens import KnownTokens, RequestRateLimit
from bot.store import api_tokens, audit
from bot.store.api_tokens import NoSuchTokenError, TokenNameTakenError
from bot.store.database import Database
from bot.store.tables.core import api_tokens as rows
from tests.support.clock import NOW, StoppedClock


class TokenServer:
    """A server with one route that takes the right to ask the gate, and one that takes all rights."""

    def __init__(self, url: str, database: Database) -> None:
        self.url = url
        self.database = database

    async def create_token(self, name: str = "ci", rights: str = "gate:read", per_minute: int = 600) -> str:
        async with self.database.transaction() as connection:
            return await api_tokens.create(connection, name, read_rights(rights), per_minute, NOW)

    async def call(self, token: str, path: str = "/api/gate") -> tuple[int, dict[str, object], str | None]:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.get(self.url + path) as response,
        ):
            return (
                response.status,
                await response.json(content_type=None),
                response.headers.get("Retry-After"),
            )


async def start_server(
    database: Database, environment: str | None = None
) -> tuple[web.AppRunner, TokenServer]:
    tokens = KnownTokens(EnvironmentToken(environment), database, StoppedClock())

    async def who(request: web.Request) -> web.Response:
        return web.json_response({"caller": request[CALLER]})

    app = web.Application(middlewares=[problems])
    app.router.add_get("/api/gate", require_token(tokens, who, Right.GATE_READ))
    app.router.add_get("/api/all", require_token(tokens, who))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, TokenServer(f"http://127.0.0.1:{runner.addresses[0][1]}", database)


@pytest.fixture
async def token_server(database: Database) -> AsyncIterator[TokenServer]:
    runner, token_server = await start_server(database)
    yield token_server
    await runner.cleanup()


async def test_a_token_allows_what_its_rights_name_and_nothing_else(token_server: TokenServer) -> None:
    token = await token_server.create_token()
    assert (await token_server.call(token))[:2] == (200, {"caller": "ci"})
    status, problem, _ = await token_server.call(token, "/api/all")
    assert (status, problem["title"]) == (403, "Forbidden")
    assert "events:write" in str(problem["missing"])
    everything = await token_server.create_token("everything", "all")
    assert (await token_server.call(everything, "/api/all"))[0] == 200
    other = await token_server.create_token("events", "events:write")
    assert (await token_server.call(other))[1][
        "detail"
    ] == "the token events does not have the right gate:read"


async def test_the_environments_token_has_all_rights(database: Database) -> None:
    runner, token_server = await start_server(database, "token-of-the-environment")
    assert (await token_server.call("token-of-the-environment", "/api/all"))[:2] == (200, {"caller": "api"})
    await runner.cleanup()


async def test_a_token_that_the_environment_names_too_keeps_its_own_rights(token_server: TokenServer) -> None:
    token = await token_server.create_token()
    runner, other = await start_server(token_server.database, token)
    assert (await other.call(token))[:2] == (200, {"caller": "ci"})
    assert (await other.call(token, "/api/all"))[0] == 403
    async with token_server.database.transaction() as connection:
        await api_tokens.revoke(connection, "ci", NOW)
    assert (await other.call(token))[0] == 401
    await runner.cleanup()


async def test_the_environments_token_may_look_like_one_of_the_database(database: Database) -> None:
    runner, token_server = await start_server(database, "gov_abc_secret")
    assert (await token_server.call("gov_abc_secret", "/api/all"))[:2] == (200, {"caller": "api"})
    await runner.cleanup()


async def test_a_revoked_token_is_refused_at_once(token_server: TokenServer) -> None:
    token = await token_server.create_token()
    assert (await token_server.call(token))[0] == 200
    async with token_server.database.transaction() as connection:
        await api_tokens.revoke(connection, "ci", NOW)
        with pytest.raises(NoSuchTokenError):
            await api_tokens.revoke(connection, "ci", NOW)
        with pytest.raises(TokenNameTakenError):
            await api_tokens.create(connection, "ci", ALL, 1, NOW)
    assert (await token_server.call(token))[0] == 401


async def test_only_the_whole_token_is_valid(token_server: TokenServer) -> None:
    token = await token_server.create_token()
    key = token.split("_")[1]
    for wrong in (token[:-1], token + "x", token.upper(), f"gov_{key}_", f"gov_{key}", "gov__x", "gov_%_x"):
        assert (await token_server.call(wrong))[0] == 401, wrong


async def test_without_any_token_the_answer_says_how_to_make_one(token_server: TokenServer) -> None:
    assert "governor token create" in str((await token_server.call("x"))[1]["detail"])
    await token_server.create_token()
    assert (await token_server.call("x"))[1]["detail"] == "this token is not valid"


async def test_a_token_over_its_rate_limit_gets_the_time_to_retry_after(token_server: TokenServer) -> None:
    token = await token_server.create_token(per_minute=3)
    answers = [await token_server.call(token) for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 200, 200, 429]
    retry_after = answers[-1][2]
    assert retry_after is not None
    assert 1 <= int(retry_after) <= 20


def test_a_rate_refills_as_time_passes() -> None:
    now = [0.0]
    rate = RequestRateLimit(2, lambda: now[0])
    assert [rate.take(), rate.take()] == [0, 0]
    assert rate.take() == pytest.approx(30)
    now[0] = 30.0
    assert rate.take() == 0
    now[0] = 3_600.0
    assert [rate.take(), rate.take()] == [0, 0]
    assert rate.take() > 0


async def test_the_database_holds_no_token_and_shows_the_last_use(token_server: TokenServer) -> None:
    token = await token_server.create_token()
    secret = token.split("_", 2)[2]
    await token_server.call(token)
    async with token_server.database.reading() as connection:
        (stored,) = (await connection.execute(select(rows))).all()
        (token_row,) = await api_tokens.all_tokens(connection)
        logged = await audit.read(connection)
    assert secret not in repr(stored)
    assert secret not in repr(logged)
    assert token_row.used_at == NOW
    assert [(row.entry.action, row.entry.subject) for row in logged] == [("token.created", "ci")]


def test_rights_are_read_and_wrong_ones_named() -> None:
    assert read_rights("gate:read, events:write") == {Right.GATE_READ, Right.EVENTS_WRITE}
    assert read_rights("all") == ALL
    for wrong in ("", "gate", "gate:read,fly:high"):
        with pytest.raises(UnknownRightError, match="gate:read"):
            read_rights(wrong)
    assert set(MEANING) == set(Right)
