"""The HTML pages: the install button, success and failure, and what points to Slack.

Input from outside is escaped, or only selects one of our own texts.
"""

from collections.abc import Mapping, Sequence
from html import escape

from bot.slack.manifest import NAME

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem;
  overflow-wrap: anywhere }}
a.button {{ display: inline-block; padding: .6rem 1rem; border-radius: .3rem; text-decoration: none;
  background: #1f3d4d; color: #fff }}
</style>
<h1>{title}</h1>
<p>{text}</p>
{more}
</html>
"""
_BUTTON = '<p><a class="button" href="{url}">{label}</a></p>'
_RETRY_LABEL = "Start again"
_OTHER_REASON = "Slack refused. The bot's log says why."

HEADERS: Mapping[str, str | Sequence[str]] = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
REASONS = {
    "access_denied": "Nothing was installed: the request was declined in Slack.",
    "invalid_browser": (
        "The installation was started in another browser. Start it here and finish it in this browser."
    ),
    "invalid_state": "The installation took longer than ten minutes, or this address was used before.",
    "missing_code": "Slack sent no code.",
    "invalid_code": "This code has expired: it is valid for ten minutes and works once.",
    "code_already_used": "This code was used before: it works once.",
    "bad_client_secret": "The bot's SLACK_CLIENT_SECRET is not that of the app.",
    "invalid_client_id": "The bot's SLACK_CLIENT_ID is not that of the app.",
    "bad_redirect_uri": "The bot's SLACK_REDIRECT_URL is not one of the app's redirect URLs.",
    "org_wide": "This installation is for a whole Enterprise Grid organisation. Governor is installed in one "
    "workspace at a time: choose a workspace in Slack's dialog.",
    "unreachable": "Slack did not answer. Nothing was installed.",
    "storage_error": "The installation could not be stored: the database did not answer.",
}
"""Texts by Slack's error code or ours."""


def install_page(url: str) -> str:
    """Return the page with the button that leads to Slack."""
    text = (
        "Error budgets that decide when to ship. Slack asks which workspace to install it in, "
        "and lists what it may do."
    )
    return _page(f"Install {NAME}", text, url, "Add to Slack")


def installed_page(team_name: str, app_id: str | None, team_id: str) -> str:
    """Return the page after a successful installation."""
    text = (
        f"{NAME} is installed in {team_name}. Next: name the workspace in a policy document "
        f"(team: {team_id}), and type /governor help in Slack."
    )
    return _page(
        "Installed", text, f"https://slack.com/app_redirect?app={app_id or ''}&team={team_id}", "Open Slack"
    )


def refused_page(reason: str, install_path: str) -> str:
    """Return the page with the reason why the app was not installed."""
    return _page("Not installed", REASONS.get(reason, _OTHER_REASON), install_path, _RETRY_LABEL)


def pointer_page(title: str, command: str) -> str:
    """Return the page at the address of something that is shown in Slack alone."""
    text = (
        f"{NAME} shows it in Slack: paste this address into a conversation, or type {command} there. "
        "What you may see is what you see."
    )
    return _page(title, text, "https://app.slack.com/client", "Open Slack")


def _page(title: str, text: str, url: str, label: str) -> str:
    button = _BUTTON.format(url=escape(url), label=escape(label))
    return _PAGE.format(title=escape(title), text=escape(text), more=button)
