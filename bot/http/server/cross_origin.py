"""Cross-origin requests (CORS): which pages in a browser may read what the bot answers.

https://fetch.spec.whatwg.org/#http-cors-protocol. Cookies play no part, so any origin may be allowed by `*`.
"""

from collections.abc import Callable, Collection

from aiohttp import web

ANY = "*"
_METHODS = "POST"
_HEADERS = "Authorization, Content-Type, If-None-Match, X-API-Key"
_EXPOSED = "ETag, Retry-After"
_MAX_AGE_S = 7_200


class CrossOrigin:
    """Cross-origin requests from pages of the allowed origins: preflights, and marks on what is answered."""

    def __init__(self, origins: Callable[[], Collection[str]]) -> None:
        self._origins = origins

    def add_routes(self, app: web.Application, paths: Collection[str]) -> None:
        """Add preflights at these paths, and let every answer there be marked, refusals too."""
        for path in paths:
            app.router.add_route("OPTIONS", path, self._preflight)

        async def mark(request: web.Request, response: web.StreamResponse) -> None:
            # Whatever refused the request: a page can only read what is marked.
            resource = request.match_info.route.resource
            if resource is not None and resource.canonical in paths:
                self._mark(request, response)

        app.on_response_prepare.append(mark)

    async def _preflight(self, request: web.Request) -> web.Response:
        headers = {"Allow": f"OPTIONS, {_METHODS}"}
        if "Origin" in request.headers and not self._allowed(request):
            message = "this origin is not among the `origins` of the flag backend `local`"
            return web.json_response({"errorDetails": message}, status=403, headers=headers)
        if "Access-Control-Request-Method" in request.headers:
            headers |= {
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _HEADERS,
                "Access-Control-Max-Age": str(_MAX_AGE_S),
            }
        return web.Response(status=204, headers=headers)

    def _mark(self, request: web.Request, response: web.StreamResponse) -> None:
        if not self._origins():
            return
        # A cache must not show one origin the answer to another.
        response.headers.add("Vary", "Origin")
        allowed = self._allowed(request)
        if allowed:
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED

    def _allowed(self, request: web.Request) -> str | None:
        """Return the origin to allow, None where the request's may not read the answer."""
        origins, origin = self._origins(), request.headers.get("Origin", "")
        if ANY in origins:
            return ANY
        return origin if origin.lower() in origins else None
