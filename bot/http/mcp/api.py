"""The port of the tools to the HTTP API: within the bot, or over the network.

ApiRefusedError   the API refused the call; the message is fit for whoever called the tool
"""

from collections.abc import Mapping
from typing import Any, Protocol


class ApiRefusedError(Exception):
    """The API refused the call with `status`, 0 where it could not be reached."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def refusal_text(detail: str, problem: Mapping[str, Any]) -> str:
    """Return what a problem document says, with the faults that it names besides."""
    faults = [each for each in problem.get("errors", ()) if each["message"] != detail]
    return "; ".join([detail, *(f"{each['field']}: {each['message']}" for each in faults)])


class GovernorApi(Protocol):
    """The API below `/api/v1/`, as the owner of one token sees it. Both raise `ApiRefusedError`."""

    async def get(self, path: str, **params: str | None) -> dict[str, Any]:
        """Return the JSON object at a path; parameters that are None are left out."""
        ...

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a JSON object to a path and return the answer."""
        ...
