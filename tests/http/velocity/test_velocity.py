"""`GET /api/v1/velocity` of a running bot, what the command line prints of it, and the gauges."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.cli.velocity import velocity_lines
from bot.http.rights import read_rights
from bot.http.serializers import instant
from bot.store import api_tokens
from tests.http.deployments.test_reports import BODY
from tests.support.github import api
from tests.support.running import eventually
from tests.support.running_bot import RunningBot, start_bot

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    """A bot that was told of a deployment, of one that failed, and of its rollback."""
    async with start_bot(tmp_path) as running_bot:
        now = running_bot.governor.clock.now()
        for commit, ended in (("a1", 9 * DAY), ("b2", 2 * DAY), ("a1", 2 * DAY - HOUR)):
            at = now - ended
            changes = [
                {
                    "commit": f"{commit} {ended}",
                    "authored_at": instant(at - 30 * HOUR),
                    "merged_at": instant(at - HOUR),
                }
            ]
            told = {
                "key": f"{commit} {ended}", "commit": commit, "changes": changes,
                "started_at": instant(at), "finished_at": instant(at),
            }  # fmt: skip
            assert (await api(running_bot, "POST", "deployments", json=BODY | told))[0] == 201
        yield running_bot


async def ask(running_bot: RunningBot, **query: str) -> tuple[int, dict[str, Any]]:
    status, body = await api(running_bot, "GET", "velocity", params=query)
    return status, body


async def test_the_answer_is_as_the_contract_has_it(running_bot: RunningBot) -> None:
    status, body = await ask(running_bot, service="checkout")
    assert status == 200
    measures = body["measures"]
    lead_time = measures["lead_time"]
    assert (lead_time["n"], lead_time["p50"], lead_time["p90"]) == (3, 108_000, 108_000)
    assert measures["lead_time_from_merge"]["p50"] == 3_600
    frequency = measures["deployment_frequency"]
    assert (frequency["n"], frequency["per_week"]) == (3, pytest.approx(3 / (90 / 7)))
    recovery = measures["failed_deployment_recovery_time"]
    assert (recovery["n"], recovery["p50"], recovery["p90"]) == (1, 3_600, 3_600)
    rate = measures["change_fail_rate"]
    assert (rate["n"], rate["value"]) == (3, pytest.approx(1 / 3))
    assert 0 < rate["low"] < rate["value"] < rate["high"] < 1
    assert measures["rework_rate"]["count"] == 1
    assert all(each["definition"] for each in measures.values())
    assert (body["service"], body["team"], body["services"]) == ("checkout", None, ["checkout"])
    assert "Wilson" in body["interval"]
    assert "interpolation" in body["quantiles"]


async def test_a_team_and_all_services_are_asked_for_as_well(running_bot: RunningBot) -> None:
    _, team = await ask(running_bot, team="Checkout-Devs")
    _, everything = await ask(running_bot)
    assert (team["team"], team["services"]) == ("@checkout-devs", ["checkout"])
    assert team["measures"] == everything["measures"]
    # All times are in the answer: another window that ends a day earlier has the past as it was.
    until = instant(running_bot.governor.clock.now() - DAY)
    _, earlier = await ask(running_bot, service="checkout", until=str(until))
    assert earlier["measures"]["change_fail_rate"]["count"] == 1


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ({"service": "chekout"}, 404, "there is no service chekout; did you mean checkout?"),
        ({"team": "U0DANA"}, 404, "there is no team U0DANA"),
        ({"service": "checkout", "team": "@sre"}, 400, "name a `service` or a `team`, not both"),
        ({"since": "yesterday"}, 400, "`since` is an RFC 3339 time, such as 2026-11-23T09:00:00Z"),
        ({"until": "x"}, 400, "`until` is an RFC 3339 time, such as 2026-11-23T09:00:00Z"),
        ({"since": "2999-01-01T00:00:00Z"}, 400, "`since` must be before `until`, and before now"),
        ({"since": "2019-01-01T00:00:00Z"}, 400, "from `since` to `until` may be 400 days at most"),
    ],
)
async def test_what_cannot_be_answered_says_why(
    running_bot: RunningBot, query: dict[str, str], status: int, detail: str
) -> None:
    answered, body = await ask(running_bot, **query)
    assert (answered, body["detail"]) == (status, detail)


async def test_a_token_needs_the_right_to_read_services(running_bot: RunningBot) -> None:
    async with running_bot.governor.database.transaction() as connection:
        now = running_bot.governor.clock.now()
        rights = read_rights("gate:read")
        token = await api_tokens.create(connection, "gate", rights, 600, now)
    status, _ = await api(running_bot, "GET", "velocity", token=token)
    assert status == 403


async def test_what_a_terminal_prints_has_the_same_figures_and_fits_it(running_bot: RunningBot) -> None:
    _, body = await ask(running_bot, team="@sre")
    lines = list(velocity_lines(body))
    printed = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "Lead time for changes      median 1 d 6 h, p90 1 d 6 h, n 3" in printed
    assert "Failed deployment recovery median 1 h, p90 1 h, n 1" in printed
    assert "Change fail rate           33.3%, 95% interval 6.1% to 79.2%: 1 of 3" in printed
    assert "  Never frozen" in printed
    assert "  Exemptions asked  0, 0 granted, 0 declined\n" in printed
    _, nothing = await ask(running_bot, service="checkout", until="2020-01-01T00:00:00Z")
    assert "nothing was deployed" in "\n".join(velocity_lines(nothing))


async def test_what_agents_spent_and_what_people_spent_are_figures_of_their_own(
    running_bot: RunningBot,
) -> None:
    now = running_bot.governor.clock.now()
    told = BODY | {"key": "c3", "commit": "c3", "actor": "agent"}
    shipped = {"started_at": instant(now - 5 * HOUR), "finished_at": instant(now - 5 * HOUR)}
    assert (await api(running_bot, "POST", "deployments", json=told | shipped))[0] == 201
    for ago, bad in ((2 * DAY - 2 * HOUR, 4), (4 * HOUR, 6)):
        counted = {"service": "checkout", "slo": "orders", "good": 1_000, "bad": bad}
        events = counted | {"at": instant(now - ago)}
        assert (await api(running_bot, "POST", "events", json=events))[0] == 202

    async def costs() -> list[dict[str, Any]]:
        _, body = await ask(running_bot, service="checkout")
        return list(body["costs"]["budgets"])

    (cost,) = await eventually(costs, bool)
    agents, people = cost["by_maker"]["agents"], cost["by_maker"]["people"]
    allowed = 2_010 * 0.01
    assert (agents["n"], people["n"]) == (1, 3)
    assert agents["spent"] == pytest.approx(6 / allowed)
    assert people["spent"] == pytest.approx(4 / allowed)
    _, body = await ask(running_bot, service="checkout")
    assert "    made by agents ×1          29.9% in all" in "\n".join(velocity_lines(body))


async def test_the_gauges_have_the_last_thirty_days(running_bot: RunningBot) -> None:
    await running_bot.governor.parts.velocity.measure()
    sample = running_bot.governor.metrics.registry.get_sample_value
    assert sample("governor_deployments", {"service": "checkout"}) == 3
    assert sample("governor_change_fail_ratio", {"service": "checkout"}) == pytest.approx(1 / 3)
    assert sample("governor_rework_ratio", {"service": "checkout"}) == pytest.approx(1 / 3)
    quantile = {"service": "checkout", "quantile": "0.5"}
    assert sample("governor_lead_time_seconds", quantile) == 108_000
    assert sample("governor_failed_deployment_recovery_seconds", quantile) == 3_600
