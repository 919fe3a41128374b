"""Exemptions over HTTP: asked for by machines, decided by people, read by whoever asked; on both stores."""

from typing import Any

import pytest

from tests.http.conftest import ApiServer
from tests.support.clock import DAY, NOW

EXEMPTIONS = "/api/v1/exemptions"
ASKED = {"service": "checkout", "change": "PR-12", "reason": "fixes the leak"}


async def post(api_server: ApiServer, **changes: object) -> tuple[int, dict[str, Any]]:
    async with api_server.session.post(f"{api_server.url}{EXEMPTIONS}", json=ASKED | changes) as response:
        return response.status, await response.json(content_type=None)


async def test_what_a_machine_asks_for_waits_for_a_person(api_server: ApiServer) -> None:
    status, asked = await post(api_server, kind="security", proof="CVE-2026-1234", commit="3f1c2ab")
    assert (status, asked["state"], asked["by"]) == (202, "pending", "api")
    assert (asked["kind"], asked["proof"], asked["commit"]) == ("security", "CVE-2026-1234", "3f1c2ab")
    service = api_server.catalog.services["checkout"]
    await api_server.requests.approve(service, asked["id"], by="U0SAM", comment="go ahead", now=NOW)
    status, granted = await api_server.get(f"{EXEMPTIONS}/{asked['id']}")
    assert (status, granted["state"], granted["decided_by"]) == (200, "granted", "U0SAM")
    assert granted["until"] == (NOW + DAY).isoformat().replace("+00:00", "Z")
    _, listed = await api_server.get(EXEMPTIONS, service="checkout")
    assert listed["exemptions"] == [granted]
    assert (await api_server.get(EXEMPTIONS, service="search"))[1] == {"exemptions": []}


async def test_asking_again_while_it_waits_or_holds_is_the_same(api_server: ApiServer) -> None:
    _, first = await post(api_server)
    _, second = await post(api_server, reason="it is still urgent")
    service = api_server.catalog.services["checkout"]
    await api_server.requests.approve(service, first["id"], by="U0SAM", comment="", now=NOW)
    _, third = await post(api_server)
    assert first["id"] == second["id"] == third["id"]
    assert third["state"] == "granted"
    assert (await post(api_server, change="PR-13"))[1]["id"] != first["id"]


async def test_what_is_asked_for_another_commit_is_a_request_of_its_own(api_server: ApiServer) -> None:
    _, first = await post(api_server, commit="a" * 40)
    _, second = await post(api_server, commit="b" * 40)
    assert (first["commit"], second["commit"], second["state"]) == ("a" * 40, "b" * 40, "pending")
    # The beginning of a hash names the same commit.
    assert (await post(api_server, commit="b" * 12))[1]["id"] == second["id"]
    service = api_server.catalog.services["checkout"]
    await api_server.hold_registry.place(
        service, by="U1", reason="peak sale", until=None, request="hold", now=NOW
    )
    await api_server.requests.approve(service, second["id"], by="U0SAM", comment="", now=NOW)
    for commit, verdict in (("a" * 40, "wait"), ("b" * 40, "go")):
        _, answer = await api_server.get("/api/v1/gate/checkout", change="PR-12", commit=commit)
        assert answer["verdict"] == verdict
    assert (await post(api_server, commit="a" * 40))[1]["id"] == first["id"]
    _, any_commit = await post(api_server)
    assert (any_commit["commit"], any_commit["state"]) == (None, "pending")
    assert (await post(api_server, commit="b" * 40))[1]["id"] == second["id"]


async def test_what_is_asked_for_any_commit_is_not_asked_for_one_again(api_server: ApiServer) -> None:
    _, first = await post(api_server)
    assert (await post(api_server, commit="b" * 40))[1]["id"] == first["id"]


async def test_the_gate_lets_it_through_for_an_hour_and_then_no_more(api_server: ApiServer) -> None:
    service = api_server.catalog.services["checkout"]
    await api_server.hold_registry.place(
        service, by="U1", reason="peak sale", until=None, request="hold", now=NOW
    )
    _, asked = await post(api_server)
    gate = "/api/v1/gate/checkout"
    assert (await api_server.get(gate, change="PR-12"))[1]["verdict"] == "wait"
    await api_server.requests.approve(service, asked["id"], by="U0SAM", comment="", now=NOW)
    _, answer = await api_server.get(gate, change="PR-12")
    assert (answer["verdict"], answer["exemption"]) == ("go", "PR-12")
    api_server.clock.time = NOW + DAY / 24
    assert (await api_server.get(gate, change="PR-12"))[1]["verdict"] == "wait"
    assert (await api_server.get(f"{EXEMPTIONS}/{asked['id']}"))[1]["state"] == "used"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"service": "chekout"}, 404),
        ({"change": " "}, 422),
        ({"reason": ""}, 422),
        ({"commit": "abc"}, 422),
        ({"until": "2020-01-01T00:00:00Z"}, 422),
        ({"until": "2099-01-01T00:00:00Z"}, 422),
        ({"until": 5}, 422),
        ({"approved": True}, 422),
    ],
)
async def test_a_faulty_request_is_refused_and_asks_for_nothing(
    api_server: ApiServer, changes: dict[str, object], status: int
) -> None:
    assert (await post(api_server, **changes))[0] == status
    assert (await api_server.get(EXEMPTIONS))[1] == {"exemptions": []}


@pytest.mark.parametrize("number", ["0", "12", "x", "-1", "9" * 40, "%31"])
async def test_an_unknown_one_is_404(api_server: ApiServer, number: str) -> None:
    assert (await api_server.get(f"{EXEMPTIONS}/{number}"))[0] == 404
