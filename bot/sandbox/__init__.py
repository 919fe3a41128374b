"""A Slack workspace on this machine: a fake Slack, a page in the browser, and a demo shop.

`fake_slack.server.FakeSlackServer` is the fake Slack for tests (its module says how to use it);
`Sandbox` is what `governor sandbox` serves: the page at `/`, the Web API under `/slack-api/`,
and the shop whose services spend their budgets. The package uses HTTP only and imports
nothing of the bot.
"""

from bot.sandbox.sandbox import POLICIES, Sandbox

__all__ = ["POLICIES", "Sandbox"]
