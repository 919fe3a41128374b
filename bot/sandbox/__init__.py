"""A Slack workspace that runs on this machine: a strict stand-in, a page, a shop that lives.

`server.SandboxServer` is the stand-in for tests (its module says how to use it);
`Sandbox` is what `governor sandbox` serves: the page at `/`, the Web API under
`/slack-api/`, and the shop whose services spend their budgets. This room talks HTTP
and imports nothing of the bot.
"""

from bot.sandbox.sandbox import POLICIES, Sandbox

__all__ = ["POLICIES", "Sandbox"]
