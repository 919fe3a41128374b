"""Checks whether the issues at GitHub that actions follow can be read, without changing an action."""

from collections.abc import Sequence

import aiohttp
from sqlalchemy.exc import SQLAlchemyError

from bot.clock import Clock
from bot.deployments.github.client import GitHubClient, GitHubError, GitHubRefusedError
from bot.diagnostics.findings import Finding, fault, ok
from bot.formatting import counted
from bot.incidents.issues.following import IssueLinks, LinkedIssue
from bot.incidents.issues.github import FOLLOWED_FOR, GitHubIssues
from bot.incidents.issues.tracked import Tracker
from bot.settings import Settings
from bot.store.database import Database

_MOST_ASKED = 20
_REFUSED = "let GITHUB_TOKEN read the issues of that repository, or link the issue where it is now"
_UNAVAILABLE = "see GITHUB_TOKEN and GITHUB_API_URL, and whether GitHub can be reached from this machine"


async def issue_findings(
    settings: Settings, database: Database, session: aiohttp.ClientSession, clock: Clock
) -> list[Finding]:
    """Return which of the newest issues cannot be read, by the numbers of their actions.

    Without a token nothing is asked: webhooks tell of issues then.
    """
    token = settings.github_token
    if token is None:
        return []
    client = GitHubClient(session, settings.github_api_url, token.get_secret_value(), clock)
    issues = GitHubIssues(client, settings.github_api_url)
    try:
        found = await IssueLinks(database).linked(
            Tracker.GITHUB, since=clock.now() - FOLLOWED_FOR, most=_MOST_ASKED
        )
    except (SQLAlchemyError, OSError):
        # What is wrong with the database is said where that is checked.
        return []
    return await _check([each for each in found if issues.has(each)], issues)


async def _check(found: Sequence[LinkedIssue], issues: GitHubIssues) -> list[Finding]:
    findings = []
    for issue in found:
        try:
            await issues.is_closed(issue)
        except GitHubRefusedError as error:
            # The issue is not named: it may be that of a private incident.
            findings.append(fault("issues", f"action {issue.action}", str(error), _REFUSED))
        except GitHubError as error:
            # Nor would the others be answered.
            return [*findings, fault("issues", "GitHub", str(error), _UNAVAILABLE)]
    if found and not findings:
        return [ok("issues", "GitHub", f"{counted(len(found), 'issue')} that actions follow can be read")]
    return findings
