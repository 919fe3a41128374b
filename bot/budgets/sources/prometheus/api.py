"""Prometheus' HTTP API: each request is answered, or fails as a `SourceError` that says why.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
import structlog

from bot.budgets.source import InvalidAnswerError, SourceError, SourceRefusedError, SourceUnavailableError

log = structlog.get_logger(__name__)

WINDOW = "$window"
"""In a full query: stands for the width of a bucket."""

NOT_ITS_FORM = "the answer is not in the form of Prometheus' HTTP API"

_AT_ONCE = 4
"""Questions of ours that one server has to answer at a time."""


class PrometheusApi:
    """The API of one server; `headers`, credentials and `timeout` are those of `PrometheusSource`."""

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        bearer_token: str | None,
        basic_auth: tuple[str, str] | None,
        headers: Mapping[str, str],
        timeout: timedelta,
    ) -> None:
        self._url = url.rstrip("/")
        self._session = session
        self._headers = {**headers, **_authorization(bearer_token, basic_auth)}
        self._timeout = timeout
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def query(self, what: str, form: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Ask `query` or `query_range` and answer the series; raises `SourceError`."""
        patience = f"{self._timeout.total_seconds():g}s"
        return _result(await self._send("POST", what, data={**form, "timeout": patience}))

    async def label_values(self, label: str, asked: Mapping[str, str]) -> list[str]:
        """Return the values of a label; raises `SourceError`."""
        answer = await self._send("GET", f"label/{label}/values", params=asked)
        values = answer.get("data")
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InvalidAnswerError(NOT_ITS_FORM)
        return values

    async def _send(self, method: str, what: str, **given: Any) -> Mapping[str, Any]:
        """Make one request and answer its JSON; raises `SourceError`."""
        seconds = self._timeout.total_seconds()
        try:
            async with (
                self._turns,
                self._session.request(
                    method,
                    f"{self._url}/api/v1/{what}",
                    headers=self._headers,
                    timeout=aiohttp.ClientTimeout(total=seconds),
                    **given,
                ) as response,
            ):
                return _answer(response.status, await response.read())
        except TimeoutError as error:
            raise SourceUnavailableError(f"{self._url} did not answer within {seconds:g} s") from error
        except aiohttp.InvalidURL as error:
            raise SourceRefusedError(f"{self._url} is no address") from error
        except aiohttp.ClientError as error:
            raise SourceUnavailableError(f"{self._url} cannot be reached: {error}") from error


def _authorization(token: str | None, basic: tuple[str, str] | None) -> Mapping[str, str]:
    if token is not None:
        return {"Authorization": f"Bearer {token}"}
    if basic is not None:
        return {"Authorization": f"Basic {base64.b64encode(':'.join(basic).encode()).decode()}"}
    return {}


def _answer(status: int, body: bytes) -> Mapping[str, Any]:
    """Return what a response holds; raise what it says or what is wrong with it."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if status != 200:
        raise _refusal(status, answer, body)
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise InvalidAnswerError(NOT_ITS_FORM)
    for warning in answer.get("warnings") or ():
        log.warning("prometheus.warning", warning=warning)
    return answer


def _result(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    match answer:
        case {"data": {"resultType": "matrix" | "vector", "result": list(result)}}:
            return result
        case _:
            raise InvalidAnswerError(NOT_ITS_FORM)


def _refusal(status: int, answer: object, body: bytes) -> SourceError:
    said = answer.get("error") if isinstance(answer, dict) else None
    message = str(said or body[:200].decode(errors="replace").strip() or f"status {status}")
    match status:
        case 401 | 403:
            return SourceRefusedError(f"the credentials were refused: {message}")
        case 429:
            return SourceUnavailableError(f"too many requests: {message}")
        case _ if status >= 500:
            return SourceUnavailableError(f"status {status}: {message}")
        case _:
            hint = f"; is it a series selector, or a query with {WINDOW}?" if "parse error" in message else ""
            return SourceRefusedError(f"{message}{hint}")
