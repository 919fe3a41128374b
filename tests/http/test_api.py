"""The API: services, the gate, the audit log, and how it refuses."""

from datetime import timedelta

import aiohttp
import pytest

from bot.freezes.budget_judge import BudgetJudge
from tests.http.conftest import ApiServer
from tests.support.clock import MINUTE, NOW
from tests.support.values import budget


async def freeze(api_server: ApiServer) -> None:
    await api_server.hold_registry.place(
        api_server.catalog.services["checkout"],
        by="U1",
        reason="migration",
        until=None,
        request="r",
        now=NOW,
    )


async def test_a_service_has_every_documented_member(api_server: ApiServer) -> None:
    status, body = await api_server.get("/api/v1/services/checkout")
    assert status == 200
    slos = body["slos"]
    assert isinstance(slos, list)
    assert (body["service"], body["state"], body["holds"]) == ("checkout", "open", [])
    assert (body["mode"], body["observed_holds"]) == ("enforce", [])
    assert slos[0] == {
        "name": "availability",
        "objective": 0.999,
        "window": "30d",
        "state": "ok",
        "good": pytest.approx(999_400),
        "bad": pytest.approx(600),
        "total": 1_000_000,
        "sli": 0.9994,
        "remaining": pytest.approx(0.4),
        "remaining_minutes": pytest.approx(17.28),
        "burn": {"1h": 0.0, "6h": 0.0, "3d": 0.0},
        "exhausts_at": None,
        "adjustments": [],
        "as_of": "2026-11-23T09:00:00Z",
        "problem": None,
        "forecast": None,
    }


async def test_holds_are_shown_with_their_owner(api_server: ApiServer) -> None:
    await freeze(api_server)
    _, body = await api_server.get("/api/v1/services/checkout")
    assert body["state"] == "frozen"
    assert body["holds"] == [
        {
            "id": 1,
            "kind": "person",
            "reason": "migration",
            "by": "U1",
            "since": "2026-11-23T09:00:00Z",
            "until": None,
        }
    ]


async def test_all_services_are_listed(api_server: ApiServer) -> None:
    _, body = await api_server.get("/api/v1/services")
    services = body["services"]
    assert isinstance(services, list)
    assert {service["service"] for service in services} == {"checkout", "search"}


async def test_the_gate_allows_an_open_service_and_refuses_a_frozen_one(api_server: ApiServer) -> None:
    status, body = await api_server.get("/api/v1/gate/checkout", change="PR-12")
    assert (status, body["allow"], body["change"]) == (200, True, "PR-12")
    await freeze(api_server)
    status, body = await api_server.get("/api/v1/gate/checkout", change="PR-12")
    assert (status, body["allow"]) == (200, False)
    assert body["reasons"] == ["person hold: migration"]
    status, body = await api_server.get("/api/v1/gate/checkout", change="PR-12", strict="1")
    assert (status, body["allow"]) == (423, False)


async def test_the_gate_knows_the_policys_exemptions(api_server: ApiServer) -> None:
    spent = [budget(-0.1)]
    judge = BudgetJudge(api_server.database, lambda _: ())
    await judge.judge(api_server.catalog.services["checkout"], spent, NOW)
    _, refused = await api_server.get("/api/v1/gate/checkout")
    _, unproven = await api_server.get("/api/v1/gate/checkout", kind="security")
    _, allowed = await api_server.get("/api/v1/gate/checkout", kind="security", proof="CVE-2026-1234")
    assert (refused["allow"], unproven["allow"], allowed["allow"]) == (False, False, True)
    assert allowed["exemption"] == "security"
    assert "is not proven" in str(unproven["reasons"])


@pytest.mark.parametrize("path", ["/api/v1/gate/chekout", "/api/v1/services/chekout"])
async def test_an_unknown_service_is_404_with_the_nearest_name(api_server: ApiServer, path: str) -> None:
    status, body = await api_server.get(path)
    assert status == 404
    assert body["detail"] == "there is no service chekout; did you mean checkout?"
    assert (body["status"], body["title"], body["near"]) == (404, "Not Found", ["checkout"])


async def test_an_explanation_compares_with_tools_that_are_known(api_server: ApiServer) -> None:
    path = "/api/v1/services/checkout/explanation"
    assert (await api_server.get(path))[1]["comparison"] is None
    status, body = await api_server.get(path, **{"as": "Sloth"})
    comparison = body["comparison"]
    assert isinstance(comparison, dict)
    assert (status, comparison["tool"], comparison["error_rate"]) == (200, "sloth", None)
    assert comparison["problem"]
    status, body = await api_server.get(path, **{"as": "nobl9"})
    assert (status, body["detail"]) == (400, "`as` is one of sloth, pyrra.")


async def test_refusals_are_problem_documents(api_server: ApiServer) -> None:
    async with api_server.session.get(f"{api_server.url}/api/v1/nowhere") as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", "Basic abc", "Bearer tok-for-test\xe4"])
async def test_without_the_token_nothing_is_shown(api_server: ApiServer, header: str) -> None:
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": header}
        async with session.get(f"{api_server.url}/api/v1/services", headers=headers) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_audit_log_is_read_in_pages_oldest_first(api_server: ApiServer) -> None:
    checkout = api_server.catalog.services["checkout"]
    for number in range(205):
        await api_server.hold_registry.exempt(
            checkout,
            change=f"PR-{number}",
            by="U1",
            reason="leak",
            until=None,
            request=f"r{number}",
            now=NOW + number * timedelta(seconds=1),
        )
    _, first = await api_server.get("/api/v1/audit", service="checkout")
    assert isinstance(first["rows"], list)
    assert len(first["rows"]) == 200
    assert isinstance(first["next"], str)
    _, rest = await api_server.get("/api/v1/audit", service="checkout", cursor=first["next"])
    assert isinstance(rest["rows"], list)
    changes = [row["after"]["change"] for row in first["rows"] + rest["rows"]]
    assert changes == [f"PR-{number}" for number in range(205)]
    assert rest["next"] is None


async def test_the_audit_log_is_filtered_by_time_and_actor(api_server: ApiServer) -> None:
    await freeze(api_server)
    late = (NOW + MINUTE).isoformat()
    _, later = await api_server.get("/api/v1/audit", since=late)
    _, by_owner = await api_server.get("/api/v1/audit", since="2026-11-23T09:00:00Z", actor="U1")
    _, by_bot = await api_server.get("/api/v1/audit", actor="governor")
    assert (later["rows"], by_bot["rows"]) == ([], [])
    assert isinstance(by_owner["rows"], list)
    assert by_owner["rows"][0]["action"] == "hold.placed"


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"cursor": "-1"}, {"cursor": "x"}])
async def test_a_query_that_makes_no_sense_is_400(api_server: ApiServer, query: dict[str, str]) -> None:
    status, _ = await api_server.get("/api/v1/audit", **query)
    assert status == 400
