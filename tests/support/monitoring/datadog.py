"""Answers as Datadog's API does, with the documented payloads: metrics by bucket, and the history of SLOs."""

import re

from aiohttp import web

_QUERY = re.compile(r"sum:(?P<metric>[\w.]+)\{(?P<tags>[^}]*)\}\.as_count\(\)\.rollup\(sum, (?P<width>\d+)\)")
_MOST_POINTS = 1_500


class Datadog:
    """Counts of metrics, each by its time in seconds; `slos` maps an id to its bad and total metric."""

    def __init__(self) -> None:
        self.counts: dict[str, list[tuple[int, float]]] = {}
        self.slos: dict[str, tuple[str, str] | None] = {}
        self.requests: list[str] = []

    def count(self, metric: str, at_s: int, events: float = 1) -> None:
        """Take a count."""
        self.counts.setdefault(metric, []).append((at_s, events))

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.requests.append(str(request.rel_url))
        if request.headers.get("DD-API-KEY") != "api":
            return web.json_response({"errors": ["Forbidden"]}, status=403)
        if request.path == "/api/v1/validate":
            return web.json_response({"valid": True})
        if request.headers.get("DD-APPLICATION-KEY") != "app":
            return web.json_response({"errors": ["Forbidden"]}, status=403)
        if request.path.startswith("/api/v1/slo/"):
            return self._history(request)
        return self._query(request)

    def _query(self, request: web.Request) -> web.Response:
        query, start, end = (request.query[name] for name in ("query", "from", "to"))
        match = _QUERY.fullmatch(query)
        if match is None:
            error = f"Rule 'scope_expr' didn't match at '{query}'"
            return web.json_response({"status": "error", "error": error, "series": [], "query": query})
        width = int(match["width"])
        if (int(end) - int(start)) / width > _MOST_POINTS:
            width *= 5
        by_bucket = self._by_bucket(match["metric"], int(start), int(end), width)
        series = {
            "metric": match["metric"],
            "scope": match["tags"],
            "interval": width,
            "length": len(by_bucket),
            "aggr": "sum",
            "pointlist": [[at * 1000.0, value] for at, value in by_bucket.items()],
            "unit": None,
        }
        answer = {
            "status": "ok",
            "res_type": "time_series",
            "resp_version": 1,
            "query": query,
            "from_date": int(start) * 1000,
            "to_date": int(end) * 1000,
            "series": [series] if by_bucket else [],
            "message": "",
            "group_by": [],
        }
        return web.json_response(answer)

    def _history(self, request: web.Request) -> web.Response:
        slo = request.path.split("/")[4]
        if slo not in self.slos:
            return web.json_response({"errors": ["SLO not found"]}, status=404)
        start, end = int(request.query["from_ts"]), int(request.query["to_ts"])
        data: dict[str, object] = {"from_ts": start, "to_ts": end, "type": "monitor", "type_id": 0}
        metrics = self.slos[slo]
        if metrics is not None:
            bad, total = (self._by_bucket(metric, start, end - 1, 60) for metric in metrics)
            data |= {"type": "metric", "type_id": 1, "series": _series(bad, total)}
        return web.json_response({"data": data, "errors": None})

    def _by_bucket(self, metric: str, start: int, end: int, width: int) -> dict[int, float]:
        found: dict[int, float] = {}
        for at, events in self.counts.get(metric, ()):
            if start <= at <= end:
                found[at // width * width] = found.get(at // width * width, 0) + events
        return dict(sorted(found.items()))


def _series(bad: dict[int, float], total: dict[int, float]) -> dict[str, object]:
    def values(counts: list[float]) -> dict[str, object]:
        return {"count": len(counts), "sum": sum(counts), "values": counts, "metadata": {"unit": None}}

    return {
        "res_type": "time_series",
        "interval": 60,
        "resp_version": 2,
        "times": [at * 1000.0 for at in total],
        "numerator": values([total[at] - bad.get(at, 0) for at in total]),
        "denominator": values(list(total.values())),
    }
