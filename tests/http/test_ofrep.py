"""OFREP as the protocol describes it: one flag, all flags, errors, tags, environments."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot.flags.evaluation import LocalFlag
from bot.http.ofrep import Ofrep
from tests.flags.backends.flag_systems import serving

FLAG_PATH = "/ofrep/v1/evaluate/flags/new-checkout"
FLAGS_PATH = "/ofrep/v1/evaluate/flags"
USER = {"context": {"targetingKey": "user-1"}}


class InMemoryFlags:
    """Flags in memory, by environment."""

    def __init__(self) -> None:
        self.flags = {
            "production": {
                "new-checkout": local_flag("new-checkout", 0.25),
                "new-search": local_flag("new-search", 1.0),
            },
            "staging": {"new-checkout": local_flag("new-checkout", 1.0)},
        }

    def served(self, environment: str) -> dict[str, LocalFlag] | None:
        return self.flags.get(environment)

    def served_flag(self, environment: str, key: str) -> LocalFlag | None:
        return self.flags.get(environment, {}).get(key)


def local_flag(key: str, rollout: float, *, enabled: bool = True, version: int = 3) -> LocalFlag:
    return LocalFlag(key, enabled=enabled, rollout=rollout, seed=key, version=version)


class Caller:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        sent: dict[str, Any] = {"data": body} if isinstance(body, str) else {"json": body}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.post(self._url + path, headers=named, **sent) as response:
            text = await response.text()
            answer = await response.json() if "json" in response.content_type and text else text
            return response.status, answer, response.headers.copy()

    async def preflight(self, path: str, origin: str) -> tuple[int, Mapping[str, str]]:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,if-none-match",
        }
        async with self._session.options(self._url + path, headers=headers) as response:
            return response.status, response.headers.copy()


@asynccontextmanager
async def ofrep_caller(
    served: InMemoryFlags, token: str | None = None, origins: Sequence[str] = ()
) -> AsyncIterator[Caller]:
    ofrep = Ofrep(served, lambda: "production", token, lambda: origins)
    async with serving(ofrep.add_routes) as url, aiohttp.ClientSession() as session:
        yield Caller(session, url)


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with ofrep_caller(InMemoryFlags()) as caller:
        yield caller


async def test_a_flag_is_answered_with_value_reason_and_variant(caller: Caller) -> None:
    status, answer, _ = await caller.post(FLAG_PATH, USER)
    assert status == 200
    assert answer == {
        "key": "new-checkout",
        "value": False,
        "reason": "SPLIT",
        "variant": "off",
        "metadata": {"environment": "production", "version": 3},
    }


async def test_another_environment_has_a_base_url_of_its_own(caller: Caller) -> None:
    _, answer, _ = await caller.post("/environments/staging" + FLAG_PATH, USER)
    assert (answer["value"], answer["reason"]) == (True, "STATIC")
    assert answer["metadata"]["environment"] == "staging"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/ofrep/v1/evaluate/flags/nope", USER, 404, "FLAG_NOT_FOUND"),
        ("/environments/moon" + FLAG_PATH, USER, 404, "FLAG_NOT_FOUND"),
        (FLAG_PATH, {"context": {}}, 400, "TARGETING_KEY_MISSING"),
        (FLAG_PATH, {}, 400, "TARGETING_KEY_MISSING"),
        (FLAG_PATH, {"context": {"targetingKey": ""}}, 400, "TARGETING_KEY_MISSING"),
        (FLAG_PATH, "{", 400, "PARSE_ERROR"),
        (FLAG_PATH, "", 400, "PARSE_ERROR"),
        (FLAG_PATH, [], 400, "INVALID_CONTEXT"),
        (FLAG_PATH, {"context": "user-1"}, 400, "INVALID_CONTEXT"),
        (FLAG_PATH, {"context": {"targetingKey": 7}}, 400, "INVALID_CONTEXT"),
    ],
)
async def test_errors_carry_the_protocols_codes(
    caller: Caller, path: str, body: Any, status: int, code: str
) -> None:
    answered, answer, _ = await caller.post(path, body)
    assert (answered, answer["errorCode"]) == (status, code)
    assert answer["key"] == path.rpartition("/")[2]
    assert answer["errorDetails"]


async def test_a_flag_that_is_off_needs_no_user() -> None:
    served = InMemoryFlags()
    served.flags["production"]["new-checkout"] = local_flag("new-checkout", 0.25, enabled=False)
    async with ofrep_caller(served) as caller:
        status, answer, _ = await caller.post(FLAG_PATH, {"context": {}})
    assert (status, answer["value"], answer["reason"]) == (200, False, "STATIC")


async def test_all_flags_are_answered_at_once(caller: Caller) -> None:
    status, answer, headers = await caller.post(FLAGS_PATH, USER)
    assert status == 200
    assert [(flag["key"], flag["value"]) for flag in answer["flags"]] == [
        ("new-checkout", False),
        ("new-search", True),
    ]
    assert headers["ETag"].startswith('"')


async def test_without_a_user_only_the_flags_that_need_one_fail(caller: Caller) -> None:
    status, answer, _ = await caller.post(FLAGS_PATH, {"context": {}})
    assert status == 200
    assert [flag.get("errorCode", flag.get("value")) for flag in answer["flags"]] == [
        "TARGETING_KEY_MISSING",
        True,
    ]


async def test_unchanged_flags_are_not_sent_again_and_changed_ones_are() -> None:
    served = InMemoryFlags()
    async with ofrep_caller(served) as caller:
        _, _, headers = await caller.post(FLAGS_PATH, USER)
        tag = headers["ETag"]
        for sent_tag in (tag, f"W/{tag}", f'"other", {tag}'):
            status, body, again = await caller.post(FLAGS_PATH, USER, If_None_Match=sent_tag)
            assert (status, body, again["ETag"]) == (304, "", tag)
        served.flags["production"]["new-checkout"] = local_flag("new-checkout", 1.0, version=4)
        status, answer, headers = await caller.post(FLAGS_PATH, USER, If_None_Match=tag)
        assert (status, answer["flags"][0]["value"]) == (200, True)
        assert headers["ETag"] != tag


async def test_one_users_tag_is_not_anothers(caller: Caller) -> None:
    tags = set()
    for number in range(40):
        _, _, headers = await caller.post(FLAGS_PATH, {"context": {"targetingKey": f"user-{number}"}})
        tags.add(headers["ETag"])
    assert len(tags) == 2


async def test_all_flags_of_an_unknown_environment_are_not_found(caller: Caller) -> None:
    status, answer, _ = await caller.post("/environments/moon" + FLAGS_PATH, USER)
    assert (status, answer["errorCode"]) == (404, "GENERAL")
    status, answer, _ = await caller.post(FLAGS_PATH, "[")
    assert (status, answer["errorCode"]) == (400, "PARSE_ERROR")


async def test_with_a_token_configured_others_are_refused() -> None:
    async with ofrep_caller(InMemoryFlags(), token="s3cret") as caller:
        for path in (FLAG_PATH, FLAGS_PATH):
            assert (await caller.post(path, USER))[0] == 401
            assert (await caller.post(path, USER, Authorization="Bearer nope"))[0] == 401
            assert (await caller.post(path, USER, Authorization="Bearer s3cret"))[0] == 200
            assert (await caller.post(path, USER, X_API_Key="s3cret"))[0] == 200


SHOP = "https://shop.example"
EVERY_PATH = [
    f"{before}{path}" for before in ("", "/environments/staging") for path in (FLAGS_PATH, FLAG_PATH)
]


@pytest.mark.parametrize("path", EVERY_PATH)
async def test_a_page_of_a_configured_origin_may_evaluate(path: str) -> None:
    async with ofrep_caller(InMemoryFlags(), origins=[SHOP]) as caller:
        status, headers = await caller.preflight(path, SHOP)
        assert (status, headers["Access-Control-Allow-Origin"]) == (204, SHOP)
        assert headers["Access-Control-Allow-Methods"] == "POST"
        assert {"content-type", "if-none-match", "authorization"} <= {
            name.strip().lower() for name in headers["Access-Control-Allow-Headers"].split(",")
        }
        assert int(headers["Access-Control-Max-Age"]) > 0
        status, _, headers = await caller.post(path, USER, Origin=SHOP)
        assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (200, SHOP, "Origin")
        assert "ETag" in headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", ["https://shop.example.evil", "http://shop.example", "null", ""])
async def test_a_page_of_another_origin_may_read_nothing(origin: str) -> None:
    async with ofrep_caller(InMemoryFlags(), origins=[SHOP]) as caller:
        status, headers = await caller.preflight(FLAGS_PATH, origin)
        assert (status, "Access-Control-Allow-Origin" in headers) == (403, False)
        status, _, headers = await caller.post(FLAGS_PATH, USER, Origin=origin)
        assert (status, "Access-Control-Allow-Origin" in headers, headers["Vary"]) == (200, False, "Origin")


async def test_without_origins_no_page_may_read_and_servers_may_as_before(caller: Caller) -> None:
    assert (await caller.preflight(FLAGS_PATH, SHOP))[0] == 403
    status, _, headers = await caller.post(FLAGS_PATH, USER, Origin=SHOP)
    assert (status, "Vary" in headers, "Access-Control-Allow-Origin" in headers) == (200, False, False)


async def test_every_origin_may_be_allowed() -> None:
    async with ofrep_caller(InMemoryFlags(), origins=["*"]) as caller:
        status, headers = await caller.preflight(FLAGS_PATH, "https://anywhere.example")
        assert (status, headers["Access-Control-Allow-Origin"]) == (204, "*")


async def test_a_page_reads_refusals_and_unchanged_flags_too() -> None:
    async with ofrep_caller(InMemoryFlags(), token="sesame", origins=[SHOP]) as caller:
        status, headers = await caller.preflight(FLAGS_PATH, SHOP)
        assert status == 204
        for wanted, path, sent in (
            (401, FLAGS_PATH, {}),
            (404, "/ofrep/v1/evaluate/flags/unknown", {"X_API_Key": "sesame"}),
            (304, FLAGS_PATH, {"X_API_Key": "sesame", "If_None_Match": "*"}),
        ):
            status, _, headers = await caller.post(path, USER, Origin=SHOP, **sent)
            assert (status, headers["Access-Control-Allow-Origin"]) == (wanted, SHOP)


async def test_any_version_that_the_client_has_is_good_enough_for_a_star(caller: Caller) -> None:
    status, body, headers = await caller.post(FLAGS_PATH, USER, If_None_Match="*")
    assert (status, body) == (304, "")
    assert headers["ETag"].startswith('"')
