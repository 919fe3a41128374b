"""The tools: what each is for, what it takes, and which call of the API it makes. Knows no transport.

They decide nothing: the API does, with the token of whoever calls.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from bot.http.mcp.api import GovernorApi
from bot.http.mcp.arguments import (
    DeploymentArguments,
    ExemptionArguments,
    FlagsArguments,
    IncidentArguments,
    ServiceArguments,
    ShipArguments,
    ToolArguments,
)
from bot.http.mcp.results import (
    BudgetResult,
    DeploymentResult,
    ExemptionResult,
    FlagsResult,
    FreezeResult,
    IncidentResult,
    ToolResult,
    VerdictResult,
)

POLICY_URI = "governor://policy/"
"""What the address of a policy in words begins with; the service follows."""

INSTRUCTIONS = (
    "Governor says whether a change may ship. Before you deploy, call may_i_ship with the service and the "
    "change, and ship only on `go`. On `wait` do not ship: ask again after retry_after seconds, or call "
    "request_exemption and wait until a person has approved it. On `back` take the change back. Call "
    "record_deployment after each deployment. You cannot approve an exemption or prove that a change is "
    "urgent: a person does."
)

Arguments = TypeVar("Arguments", bound=ToolArguments)


@dataclass(frozen=True, slots=True)
class ToolDefinition(Generic[Arguments]):
    """A tool. `changes` is whether a call changes anything; all may be repeated."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    result: type[ToolResult]
    call: Callable[[GovernorApi, Arguments], Awaitable[ToolResult]]
    changes: bool = False

    async def run(self, api: GovernorApi, arguments: dict[str, Any]) -> ToolResult:
        """Call the API. Raises `ValidationError` for faulty arguments, and `ApiRefusedError`."""
        return await self.call(api, self.arguments.model_validate(arguments))


def _segment(name: str) -> str:
    return quote(name, safe="")


async def _may_i_ship(api: GovernorApi, asked: ShipArguments) -> VerdictResult:
    answer = await api.get(
        f"gate/{_segment(asked.service)}",
        change=asked.change,
        commit=asked.commit,
        environment=asked.environment,
        kind=asked.kind,
        proof=asked.proof,
    )
    verdict = VerdictResult.model_validate(answer)
    verdict.next_step = _next_step(verdict)
    return verdict


def _next_step(verdict: VerdictResult) -> str:
    match verdict.verdict:
        case "go":
            return "Ship it, then call record_deployment."
        case "back":
            return "Take the change back, and tell a person."
        case "wait":
            again = f" after {verdict.retry_after} s" if verdict.retry_after else ""
            return f"Do not ship. Ask again{again}, or call request_exemption if it cannot wait."


async def _why_frozen(api: GovernorApi, asked: ServiceArguments) -> FreezeResult:
    segment = _segment(asked.service)
    status = await api.get(f"services/{segment}")
    verdict = await api.get(f"gate/{segment}")
    return FreezeResult.model_validate(
        {
            **status,
            "frozen": status["state"] == "frozen",
            "reasons": verdict["reasons"],
            "opens_at": verdict["opens_at"],
            "policy": POLICY_URI + status["service"],
        }
    )


async def _budget(api: GovernorApi, asked: ServiceArguments) -> BudgetResult:
    return BudgetResult.model_validate(await api.get(f"services/{_segment(asked.service)}"))


_NEXT = {
    "pending": "A person decides in Slack. Ask may_i_ship again later; do not ship before it says go.",
    "granted": "Call may_i_ship with the same change and commit: it lets it through once.",
    "declined": "Do not ship. The comment says why.",
    "used": "It was used. Another change needs another exemption.",
    "expired": "It is over. Ask again if it still cannot wait.",
}


async def _request_exemption(api: GovernorApi, asked: ExemptionArguments) -> ExemptionResult:
    result = ExemptionResult.model_validate(await api.post("exemptions", _body(asked)))
    result.next_step = _NEXT[result.state]
    return result


async def _record_deployment(api: GovernorApi, report: DeploymentArguments) -> DeploymentResult:
    # What the token belongs to decides in the end; this is for tokens of people and pipelines.
    body = _body(report) | {"actor": "agent"}
    return DeploymentResult.model_validate(await api.post("deployments", body))


async def _open_incident(api: GovernorApi, asked: IncidentArguments) -> IncidentResult:
    answer = await api.post("incidents", _body(asked))
    channel = answer.get("channel") or {}
    return IncidentResult.model_validate(answer | {"channel": channel.get("name")})


async def _flags(api: GovernorApi, asked: FlagsArguments) -> FlagsResult:
    answer = await api.get("flags", service=asked.service, environment=asked.environment)
    return FlagsResult.model_validate(answer)


def _body(arguments: ToolArguments) -> dict[str, Any]:
    return arguments.model_dump(exclude_none=True)


TOOLS: dict[str, ToolDefinition[Any]] = {
    tool.name: tool
    for tool in (
        ToolDefinition(
            "may_i_ship",
            "May this change ship?",
            "Ask whether a change may ship to a service now, before you deploy it. Answers go, wait or back "
            "with the reasons. A refusal is an answer, no error: do not ship then.",
            ShipArguments,
            VerdictResult,
            _may_i_ship,
        ),
        ToolDefinition(
            "why_frozen",
            "Why is this service frozen?",
            "List what holds a service, since when, and when it is expected to open.",
            ServiceArguments,
            FreezeResult,
            _why_frozen,
        ),
        ToolDefinition(
            "budget",
            "How much error budget is left?",
            "Return what is left of each error budget of a service, and how fast it is spent.",
            ServiceArguments,
            BudgetResult,
            _budget,
        ),
        ToolDefinition(
            "request_exemption",
            "Ask for an exemption",
            "Ask that one change may ship through a freeze. A person approves or declines it in Slack; you "
            "cannot. Calling it again for the same change says how far it has come.",
            ExemptionArguments,
            ExemptionResult,
            _request_exemption,
            changes=True,
        ),
        ToolDefinition(
            "record_deployment",
            "Record a deployment",
            "Report how a deployment ended, so that it counts in delivery measures and incidents find their "
            "cause. It is marked as an agent's.",
            DeploymentArguments,
            DeploymentResult,
            _record_deployment,
            changes=True,
        ),
        ToolDefinition(
            "open_incident",
            "Open an incident",
            "Open an incident when users are harmed. People are called into a Slack channel; you cannot "
            "close it. The same key is the same incident again.",
            IncidentArguments,
            IncidentResult,
            _open_incident,
            changes=True,
        ),
        ToolDefinition(
            "flags",
            "Which flags are on?",
            "List feature flags and who sees each now. They are changed in Slack.",
            FlagsArguments,
            FlagsResult,
            _flags,
        ),
    )
}
"""All tools, by name."""
