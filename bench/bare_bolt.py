"""The peer of the ack benchmark: a bare slack-bolt AsyncApp on aiohttp that acknowledges and does nothing."""

import logging
import sys

from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck


async def _authorize(context: AsyncBoltContext) -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=None, team_id=context.team_id, bot_token="xoxb-bench")


def main(port: int, secret: str) -> None:
    """Serve `/slack/events` on the port."""
    logging.disable(logging.WARNING)
    app = AsyncApp(signing_secret=secret, authorize=_authorize)

    @app.command("/budget")
    async def acknowledge(ack: AsyncAck) -> None:
        await ack()

    app.server(port=port, path="/slack/events", host="127.0.0.1").start()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
