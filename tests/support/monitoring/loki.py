"""Answers as Loki's HTTP API does: counts log lines by a few forms of LogQL, refuses what Loki refuses."""

import re
from collections.abc import Sequence

from aiohttp import web

_COUNT = re.compile(
    r'sum(?: by \((?P<by>\w+)\))? ?\((?:count_over_time)\((?P<stream>\{.*?\})(?: \|= "(?P<has>.*?)")?'
    r" ?\[(?P<range>\d+)s\]\)\)"
)
_MATCHER = re.compile(r'(\w+)="(.*?)"')
_MOST_POINTS = 11_000


class Loki:
    """Log lines, each with its time in seconds, the labels of its stream and its text.

    With a `tenant`, requests that do not name it are refused, as with `auth_enabled: true`.
    """

    def __init__(self, tenant: str | None = None) -> None:
        self.tenant = tenant
        self.lines: list[tuple[float, dict[str, str], str]] = []
        self.requests = 0

    def write(self, at_s: float, line: str, **labels: str) -> None:
        """Take a log line."""
        self.lines.append((at_s, labels, line))

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.requests += 1
        if self.tenant is not None and request.headers.get("X-Scope-OrgID") != self.tenant:
            return web.Response(status=401, text="no org id\n")
        if request.path.startswith("/loki/api/v1/label"):
            return self._labels(request.path)
        return self._query(request.path, {name: str(each) for name, each in (await request.post()).items()})

    def _query(self, path: str, form: dict[str, str]) -> web.Response:
        if re.fullmatch(r"\{.*\}[^\[]*", form["query"]):
            return _data("streams", [])
        match = _COUNT.fullmatch(form["query"])
        if match is None:
            return _refused("parse error at line 1, col 5: syntax error: unexpected IDENTIFIER")
        if path == "/loki/api/v1/query":
            found = self._count(match, [int(form["time"])])
            return _data("vector", [{"metric": by, "value": values[0]} for by, values in found if values])
        start, end, step = int(form["start"]), int(form["end"]), int(form["step"].removesuffix("s"))
        if (end - start) / step > _MOST_POINTS:
            return _refused(
                "exceeded maximum resolution of 11,000 points per time series. "
                "Try increasing the value of the step parameter"
            )
        found = self._count(match, range(start, end + 1, step))
        return _data("matrix", [{"metric": by, "values": values} for by, values in found if values])

    def _labels(self, path: str) -> web.Response:
        if path == "/loki/api/v1/labels":
            found = {name for _, labels, _ in self.lines for name in labels}
        else:
            name = path.split("/")[5]
            found = {labels[name] for _, labels, _ in self.lines if name in labels}
        return web.json_response({"status": "success"} | ({"data": sorted(found)} if found else {}))

    def _count(
        self, match: re.Match[str], times: Sequence[int]
    ) -> list[tuple[dict[str, str], list[tuple[int, str]]]]:
        wanted, width = dict(_MATCHER.findall(match["stream"])), int(match["range"])
        groups: dict[str, list[float]] = {}
        for at, labels, line in self.lines:
            if wanted.items() <= labels.items() and (match["has"] or "") in line:
                groups.setdefault(labels.get(match["by"] or "", ""), []).append(at)
        answer = []
        for name, lines in groups.items():
            counted = [(time, sum(time - width < at <= time for at in lines)) for time in times]
            by = {match["by"]: name} if match["by"] else {}
            answer.append((by, [(time, str(count)) for time, count in counted if count]))
        return answer


def _data(kind: str, result: list[dict[str, object]]) -> web.Response:
    data = {"resultType": kind, "result": result, "stats": {"summary": {"totalLinesProcessed": 0}}}
    return web.json_response({"status": "success", "data": data})


def _refused(why: str) -> web.Response:
    return web.Response(status=400, text=why + "\n")
