"""`GET /api/v1/goals`: the goals of both teams, and how far each half has come."""

from datetime import timedelta
from typing import Any

from aiohttp import web
from pydantic import AwareDatetime

from bot.clock import Clock
from bot.freezes.status import StatusReader
from bot.http.auth import TokenVerifier
from bot.http.operations import Operation, add_operations
from bot.http.response_models import Answer
from bot.http.rights import Right
from bot.http.serializers import instant
from bot.velocity.goals.progress import DeliveryProgress, GoalProgress, ReliabilityProgress
from bot.velocity.goals.reader import GoalReader


class GoalTargetAnswer(Answer):
    """A target with what it stands at: times in seconds, shares as fractions, deployments a week."""

    measure: str
    """A delivery measure, or `service/slo`."""
    quantile: str | None
    at_most: float | None
    at_least: float | None
    value: float | None
    n: float
    """Deployments, changes or events that the value rests on."""
    state: str
    """`met`, `not_met`, or `unknown` where nothing was deployed or counted yet."""


class GoalAnswer(Answer):
    """A goal as it stands; met only if both halves are."""

    name: str
    description: str
    services: list[str]
    period: str
    since: AwareDatetime
    until: AwareDatetime
    elapsed: float
    state: str
    delivery_state: str
    reliability_state: str
    delivery: list[GoalTargetAnswer]
    reliability: list[GoalTargetAnswer]


class GoalsAnswer(Answer):
    """All goals of the policies, those that end first before the others."""

    goals: list[GoalAnswer]


class GoalsEndpoint:
    """Says how far goals have come."""

    def __init__(
        self, status_reader: StatusReader, goals: GoalReader, clock: Clock, tokens: TokenVerifier
    ) -> None:
        self._status_reader = status_reader
        self._goals = goals
        self._clock = clock
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the route; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "GET",
        "/api/v1/goals",
        tag="deployments",
        summary="The goals of both teams, and how far each half has come",
        right=Right.SERVICES_READ,
        answers={200: GoalsAnswer},
    )
    async def goals(self, _: web.Request) -> web.Response:
        """Return every goal, also those whose time has not begun or is over."""
        catalog, now = self._status_reader.catalog, self._clock.now()
        ordered = sorted(catalog.goals.values(), key=lambda goal: (goal.term(now).span.end, goal.name))
        found = [await self._goals.progress(catalog, goal, now) for goal in ordered]
        return web.json_response({"goals": [goal_json(each) for each in found]})


def goal_json(progress: GoalProgress) -> dict[str, Any]:
    """Return a goal as JSON."""
    goal = progress.goal
    return {
        "name": goal.name,
        "description": goal.description,
        "services": list(goal.services),
        "period": progress.term.name,
        "since": instant(progress.term.span.start),
        "until": instant(progress.term.span.end),
        "elapsed": progress.elapsed,
        "state": progress.state.value,
        "delivery_state": progress.delivery_state.value,
        "reliability_state": progress.reliability_state.value,
        "delivery": [_delivery_json(each) for each in progress.delivery],
        "reliability": [_reliability_json(each) for each in progress.reliability],
    }


def _delivery_json(each: DeliveryProgress) -> dict[str, Any]:
    target = each.target
    at_most = getattr(target, "at_most", None)
    at_least = getattr(target, "at_least", None)
    quantile = getattr(target, "quantile", None)
    return {
        "measure": target.measure.value,
        "quantile": quantile and quantile.value,
        "at_most": _number(at_most),
        "at_least": _number(at_least),
        "value": _number(each.value),
        "n": each.n,
        "state": each.state.value,
    }


def _reliability_json(each: ReliabilityProgress) -> dict[str, Any]:
    return {
        "measure": each.target.key,
        "quantile": None,
        "at_most": None,
        "at_least": float(each.target.at_least),
        "value": each.value,
        "n": each.total,
        "state": each.state.value,
    }


def _number(value: Any) -> float | None:
    if value is None:
        return None
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
