"""Prometheus' HTTP API: a request returns its answer or raises a `SourceError` that says why.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import asyncio
import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from bot.bounded_body import BodyTooLargeError, parse_json, quotable, read_body
from bot.budgets.source import (
    AnswerTooLargeError,
    InvalidAnswerError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.sent_queries import record_sent
from bot.budgets.sources.sign_in import SignIn
from bot.budgets.sources.tls_files import TlsFiles
from bot.pacing import Pacer

WINDOW = "$window"
"""In a full query, the placeholder for the width of a bucket."""

MALFORMED = "the answer is not in the form of Prometheus' HTTP API"

_NOT_WHOLE = "the answer is not whole"
_LACKING = (b'"warnings"', b'"isPartial"')
"""Where an answer names one of these, it may not be whole."""
_NO_STORE = "No StoreAPIs matched for this query"

_MOST_CONCURRENT = 4
"""How many of our requests one server has to answer at a time."""

_METHOD_REFUSED = (403, 405)
_TOO_LONG = (400, 413, 414, 431)
"""What servers answer to an address that is too long, none of them in the form of the API."""
_SURELY_TAKEN = 1_000
"""How many characters of a query every server takes in an address."""
_FORM = "application/x-www-form-urlencoded"
_STORAGE = "expanding series: "
"""How errors begin that come from the storage, such as a store of Thanos that did not answer."""
_LIMITS = re.compile("limit|exceed|too many|err-mimir-max")

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3


class RangeSeries(msgspec.Struct):
    """A series of a range query: its labels, and its values with their times in whole seconds."""

    metric: dict[str, str]
    values: list[tuple[int, float]] = []


class _Ranges(msgspec.Struct):
    result: list[msgspec.Raw]
    resultType: Literal["matrix"]  # noqa: N815 - the name in the answer


class _RangeAnswer(msgspec.Struct):
    status: Literal["success"]
    data: _Ranges


_RANGES = msgspec.json.Decoder(_RangeAnswer)
"""Divides the usual answer into its series."""
_SERIES = msgspec.json.Decoder(RangeSeries, strict=False)
"""Reads a series: its numbers are texts, and an answer has tens of thousands of them."""


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
        params: Mapping[str, str] | None = None,
        tls: TlsFiles | None = None,
        signing: SignIn | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._session = session
        self._headers = {**headers, **_authorization(bearer_token, basic_auth)}
        self._timeout = timeout
        self._params = params or {}
        self._tls = tls or TlsFiles()
        self._signing = signing
        self._takes_post = True
        self._slots = asyncio.Semaphore(_MOST_CONCURRENT)

    async def query(self, endpoint: str, form: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Call `query` or `query_range` and return the series; raises `SourceError`."""
        return _result(_answer(*await self._ask(endpoint, form)))

    async def value(self, query: str, time: str) -> float | None:
        """Return the value of a query that has one series, None where it has none; raises `SourceError`."""
        for series in await self.query("query", {"query": query, "time": time}):
            try:
                return float(series["value"][1])
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise InvalidAnswerError(MALFORMED) from error
        return None

    async def query_range(self, form: Mapping[str, str]) -> list[RangeSeries]:
        """Evaluate a query at many times; raises `SourceError`."""
        status, body = await self._ask("query_range", form)
        if status == 200 and not any(word in body for word in _LACKING):
            # Of an answer of another form is said below what is wrong with it.
            with suppress(msgspec.MsgspecError, RecursionError):
                return await _series(body)
        return [RangeSeries(series["metric"], _samples(series)) for series in _result(_answer(status, body))]

    async def label_values(self, label: str, parameters: Mapping[str, str]) -> list[str]:
        """Return the values of a label; raises `SourceError`."""
        answer = _answer(*await self._send("GET", f"label/{label}/values", {**parameters, **self._params}))
        values = answer.get("data")
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InvalidAnswerError(MALFORMED)
        return values

    async def _ask(self, endpoint: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        record_sent(endpoint, form)
        fields = {**form, **self._params, "timeout": f"{self._timeout.total_seconds():g}s"}
        if self._takes_post:
            status, body = await self._send("POST", endpoint, fields)
            if status not in _METHOD_REFUSED:
                return status, body
            # Some proxies let nothing through but GET. Where that is refused too, it was not the method.
            answer = await self._get(endpoint, fields)
            if answer[0] in _METHOD_REFUSED:
                return status, body
            self._takes_post = False
            return answer
        answer = await self._get(endpoint, fields)
        self._takes_post = answer[0] in _METHOD_REFUSED
        return answer

    async def _get(self, endpoint: str, fields: Mapping[str, str]) -> tuple[int, bytes]:
        status, body = await self._send("GET", endpoint, fields)
        if status in _TOO_LONG and len(fields["query"]) > _SURELY_TAKEN and not body.startswith(b"{"):
            raise SourceRefusedError(
                f"{self._url} takes no POST, and a query of {len(fields['query'])} characters is too long "
                f"for GET (status {status}): allow POST there"
            )
        return status, body

    def _not_an_address(self) -> SourceRefusedError:
        return SourceRefusedError(
            f"`{self._url}` is not an address: write one such as http://prometheus:9090"
        )

    async def _send(self, method: str, path: str, fields: Mapping[str, str]) -> tuple[int, bytes]:
        """Send one request and return the status and the body; raises `SourceError`."""
        seconds = self._timeout.total_seconds()
        try:
            async with self._slots:
                return await self._follow(method, path, urlencode(fields, quote_via=quote))
        except TimeoutError as error:
            raise SourceUnavailableError(f"{self._url} did not answer within {seconds:g} s") from error
        except aiohttp.InvalidURL as error:
            raise self._not_an_address() from error
        except BodyTooLargeError as error:
            raise AnswerTooLargeError(str(error)) from error
        except aiohttp.ClientError as error:
            raise SourceUnavailableError(f"{self._url} cannot be reached: {quotable(str(error))}") from error

    async def _follow(self, method: str, path: str, fields: str) -> tuple[int, bytes]:
        """Send a request, again where the same server redirects it; all our requests only read."""
        try:
            url = URL(f"{self._url}/api/v1/{path}")
        except ValueError as error:
            raise self._not_an_address() from error
        for _ in range(_MOST_REDIRECTS + 1):
            sent = URL(f"{url}?{fields}", encoded=True) if method == "GET" and fields else url
            body = fields.encode() if method == "POST" else None
            async with self._session.request(
                method,
                sent,
                data=body,
                headers=await self._signed(method, str(sent), body),
                timeout=aiohttp.ClientTimeout(total=self._timeout.total_seconds()),
                allow_redirects=False,
                ssl=self._tls.context(),
            ) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    return response.status, await read_body(response)
                url = self._redirected(url, location)
        raise SourceRefusedError(f"{self._url} redirects in a circle")

    async def _signed(self, method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        """Return the headers of a request, with its signature where it needs one."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": _FORM}
        if self._signing is None:
            return headers
        async with asyncio.timeout(self._timeout.total_seconds()):
            return {**headers, **await self._signing.headers(method, url, headers, body)}

    def _redirected(self, url: URL, location: str) -> URL:
        """Return where a redirect leads; raises `SourceRefusedError` unless that is the same server.

        Another one must not get the credentials, nor be asked in our name what only we can reach.
        """
        try:
            target = url.join(URL(location))
            origin = target.origin()
        except ValueError as error:
            raise SourceRefusedError(f"{self._url} redirects to no address") from error
        # The same host by TLS is the same server, too.
        if origin not in (url.origin(), URL.build(scheme="https", host=url.host or "")):
            raise SourceRefusedError(
                f"{self._url} redirects to {quotable(str(origin))}, which is not followed; "
                "if that is right, name that address in the policy"
            )
        return target


async def _series(body: bytes) -> list[RangeSeries]:
    """Read the series of the usual answer, and let other tasks run in between: together they take long."""
    series, pace = [], Pacer()
    for raw in _RANGES.decode(body).data.result:
        await pace()
        series.append(_SERIES.decode(raw))
    return series


def _authorization(token: str | None, basic: tuple[str, str] | None) -> Mapping[str, str]:
    if token is not None:
        return {"Authorization": f"Bearer {token}"}
    if basic is not None:
        return {"Authorization": f"Basic {base64.b64encode(':'.join(basic).encode()).decode()}"}
    return {}


def _answer(status: int, body: bytes) -> Mapping[str, Any]:
    """Return the JSON of a response; raises `SourceError` for a refusal or another form."""
    try:
        answer = parse_json(body)
    except ValueError:
        answer = None
    if status != 200:
        raise _refusal(status, answer, body)
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise InvalidAnswerError(MALFORMED)
    _check_whole(answer)
    return answer


def _check_whole(answer: Mapping[str, Any]) -> None:
    """Raise `SourceError` if the server says that its answer lacks something.

    Prometheus, Thanos and Mimir say so in `warnings`, those of VictoriaMetrics in `isPartial`. What is left
    out would be counted as no events, so any warning spoils the answer but two. Annotations of the kind
    `info` are about style ("metric might not be a counter"); newer servers list them in `infos`, Prometheus
    2.48 to 2.53 among the warnings. And Thanos says that no store covers the time or labels asked for, as
    for any time before its first store: the answer is empty then, and whoever asked judges what that means.
    Annotations of the kind `warning` say that the query left out series, such as native histograms among
    floats: they come again however often one asks.
    https://github.com/prometheus/prometheus/blob/main/util/annotations/annotations.go
    """
    if answer.get("isPartial") is True:
        raise SourceUnavailableError(f"{_NOT_WHOLE}: a part of the storage did not answer")
    warnings = answer.get("warnings") or []
    for warning in map(str, warnings if isinstance(warnings, list) else [warnings]):
        if warning.startswith("PromQL warning:"):
            raise InvalidAnswerError(f"{_NOT_WHOLE}: {quotable(warning)}")
        if not warning.startswith("PromQL info:") and warning != _NO_STORE:
            raise SourceUnavailableError(f"{_NOT_WHOLE}: {quotable(warning)}")


def _result(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    match answer:
        case {"data": {"resultType": "matrix" | "vector", "result": list(result)}} if all(
            isinstance(series, dict) and isinstance(series.get("metric"), dict) for series in result
        ):
            return result
        case _:
            raise InvalidAnswerError(MALFORMED)


def _samples(series: Mapping[str, Any]) -> list[tuple[int, float]]:
    try:
        return [(round(at), float(text)) for at, text in series.get("values", ())]
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidAnswerError(MALFORMED) from error


def _refusal(status: int, answer: object, body: bytes) -> SourceError:
    error = answer.get("error") if isinstance(answer, dict) else None
    message = quotable(str(error or body[:300].decode(errors="replace"))) or f"status {status}"
    match status:
        case 401 | 403:
            return SourceRefusedError(f"the credentials were refused: {message}")
        case 429:
            return SourceUnavailableError(f"too many requests: {message}")
        case 422 if message.startswith(_STORAGE) and not _LIMITS.search(message):
            return SourceUnavailableError(f"{_NOT_WHOLE}: {message}")
        case _ if status >= 500:
            return SourceUnavailableError(f"status {status}: {message}")
        case _:
            hint = f"; is it a series selector, or a query with {WINDOW}?" if "parse error" in message else ""
            return SourceRefusedError(f"{message}{hint}")
