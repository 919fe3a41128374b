"""Answers as ClickHouse's HTTP interface does, for the guide's query: rows, and errors by their codes."""

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

_SETTINGS = {
    "default_format",
    "database",
    "date_time_output_format",
    "max_execution_time",
    "wait_end_of_query",
}
_SETTINGS |= {
    "readonly",
    "max_result_rows",
    "result_overflow_mode",
    "param_start",
    "param_end",
    "param_width_s",
}
_LOGIN = f"Basic {b64encode(b'reader:pass').decode()}"

# What a statement with this text is answered with: the status, the code, and the message.
_ERRORS = {
    "DROP ": (500, 164, "reader: Cannot execute query in readonly mode. (READONLY)"),
    "FROM nothing": (404, 60, "Unknown table expression identifier 'nothing'. (UNKNOWN_TABLE)"),
    "sleep(": (408, 159, "Timeout exceeded: elapsed 1000 ms, maximum: 1000 ms. (TIMEOUT_EXCEEDED)"),
}


class ClickHouse:
    """A table of requests: times in seconds, and whether each failed."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, bool]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        if request.headers.get("Authorization") != _LOGIN:
            return _error(403, 516, "reader: Authentication failed: password is incorrect")
        unknown = set(request.query) - _SETTINGS
        if unknown:
            return _error(404, 115, f"Setting {unknown.pop()} is neither a builtin setting nor a custom one")
        sql = await request.text()
        for text, error in _ERRORS.items():
            if text in sql:
                return _error(*error)
        return _rows([("1", "UInt8")], [[1]]) if sql == "SELECT 1" else self._count(sql, request.query)

    def _count(self, sql: str, values: Mapping[str, str]) -> web.Response:
        start, end, width = (int(values[f"param_{name}"]) for name in ("start", "end", "width_s"))
        width = 1 if "GROUP BY at" in sql else width
        total: Counter[int] = Counter()
        bad: Counter[int] = Counter()
        for at, is_bad in self.rows:
            if start <= at < end:
                total[at // width * width] += 1
                bad[at // width * width] += is_bad
        if len(total) > int(values["max_result_rows"]):
            most = values["max_result_rows"]
            return _error(500, 396, f"Limit for result exceeded, max rows: {most}. (TOO_MANY_ROWS_OR_BYTES)")
        # A DateTime as `date_time_output_format=iso` has it, and 64 bits as text, as they are by default.
        rows: list[list[object]] = [
            [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}", str(total[at]), str(bad[at])]
            for at in sorted(total)
        ]
        return _rows([("bucket", "DateTime"), ("total", "UInt64"), ("bad", "UInt64")], rows)


def _rows(columns: list[tuple[str, str]], rows: list[list[object]]) -> web.Response:
    meta = [{"name": name, "type": kind} for name, kind in columns]
    statistics = {"elapsed": 0.001, "rows_read": len(rows), "bytes_read": 0}
    answer = {"meta": meta, "data": rows, "rows": len(rows), "statistics": statistics}
    return web.json_response(answer, headers={"X-ClickHouse-Format": "JSONCompact"})


def _error(status: int, code: int, message: str) -> web.Response:
    text = f"Code: {code}. DB::Exception: {message} (version 25.8.1.1)\n"
    return web.Response(status=status, text=text, headers={"X-ClickHouse-Exception-Code": str(code)})
