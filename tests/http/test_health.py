"""What operators watch."""

from bot.http.health import ReadinessCheck
from tests.http.conftest import House


async def test_health_and_readiness_answer_without_a_token(house: House) -> None:
    assert await house.get("/healthz") == (200, {"status": "ok"})
    status, body = await house.get("/readyz")
    assert (status, body["status"]) == (200, "ready")


async def test_a_vital_fault_is_not_ready_and_a_lesser_one_degraded(house: House) -> None:
    house.checks[:] = [ReadinessCheck("policies", ok=False, vital=False, detail={"faults": ["x"]})]
    status, body = await house.get("/readyz")
    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"] == {"policies": {"ok": False, "faults": ["x"]}}
    house.checks[:] = [ReadinessCheck("database", ok=False)]
    status, body = await house.get("/readyz")
    assert (status, body["status"]) == (503, "not ready")


async def test_metrics_are_in_prometheus_format(house: House) -> None:
    async with house.client.get(f"{house.url}/metrics") as answer:
        text = await answer.text()
        assert answer.content_type == "text/plain"
    assert "# TYPE governor_slack_ack_seconds histogram" in text
