"""Health, readiness and metrics."""

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.http.health import HealthEndpoint, ReadinessCheck
from bot.metrics import Metrics
from tests.http.conftest import ApiServer


async def test_health_and_readiness_answer_without_a_token(api_server: ApiServer) -> None:
    assert await api_server.get("/healthz") == (200, {"status": "ok"})
    status, body = await api_server.get("/readyz")
    assert (status, body["status"]) == (200, "ready")


async def test_a_vital_fault_is_not_ready_and_a_lesser_one_degraded(api_server: ApiServer) -> None:
    api_server.checks[:] = [ReadinessCheck("policies", ok=False, vital=False, detail={"faults": ["x"]})]
    status, body = await api_server.get("/readyz")
    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"] == {"policies": {"ok": False, "faults": ["x"]}}
    api_server.checks[:] = [ReadinessCheck("database", ok=False)]
    status, body = await api_server.get("/readyz")
    assert (status, body["status"]) == (503, "not ready")


async def test_metrics_are_in_prometheus_format(api_server: ApiServer) -> None:
    async with api_server.session.get(f"{api_server.url}/metrics") as response:
        text = await response.text()
        assert response.content_type == "text/plain"
    assert "# TYPE governor_slack_ack_seconds histogram" in text


async def test_a_check_that_fails_itself_hides_nothing_of_the_others() -> None:
    async def holds() -> ReadinessCheck:
        raise ConnectionRefusedError

    async def slack() -> ReadinessCheck:
        return ReadinessCheck("slack", ok=True)

    app = web.Application()
    HealthEndpoint([holds, slack], Metrics().registry).add_routes(app)
    async with TestClient(TestServer(app)) as client, client.get("/readyz") as response:
        assert response.status == 200
        assert await response.json() == {
            "status": "degraded",
            "checks": {
                "holds": {"ok": False, "problem": "the database does not answer"},
                "slack": {"ok": True},
            },
        }
