"""A peer of the ack benchmark: aiohttp, and nothing but a look at the signature."""

import sys

from aiohttp import web
from slack_sdk.signature import SignatureVerifier


def main(port: int, secret: str) -> None:
    """Serve `/slack/events` on the port."""
    verifier = SignatureVerifier(secret)

    async def acknowledge(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(status=200 if verifier.is_valid_request(body, dict(request.headers)) else 401)

    app = web.Application()
    app.router.add_post("/slack/events", acknowledge)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
