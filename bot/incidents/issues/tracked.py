"""An issue of GitHub, GitLab or Jira, by its address. Pure; no clock, no I/O."""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

MOST_URL = 500
_GITHUB = re.compile(r"/([\w.-]{1,100})/([\w.-]{1,100})/issues/([0-9]{1,12})/?", re.ASCII)
_GITLAB = re.compile(r"/([\w./-]{1,300}?)(?:/-)?/(?:issues|work_items)/([0-9]{1,12})/?", re.ASCII)
_JIRA = re.compile(r"(?:/[\w.-]{1,50}){0,2}/browse/([A-Za-z][A-Za-z0-9_]{1,30}-[0-9]{1,12})/?", re.ASCII)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?")


class Tracker(StrEnum):
    """The systems that issues are kept in."""

    GITHUB = "github"
    GITLAB = "gitlab"
    JIRA = "jira"


class UnknownIssueError(ValueError):
    """The text is not the address of an issue."""


@dataclass(frozen=True, slots=True)
class TrackedIssue:
    """An issue. `key` tells it from all others; `name` is how people call it, such as `acme/shop#12`."""

    tracker: Tracker
    key: str
    name: str
    url: str


def issue_of(text: str) -> TrackedIssue:
    """Return the issue that an `https` address leads to; raises `UnknownIssueError`.

    GitHub's are `/OWNER/REPOSITORY/issues/N`, GitLab's `/GROUP/PROJECT/-/issues/N`, Jira's `/browse/KEY-N`.
    """
    url = text.strip()
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").casefold(), parts.port
    except ValueError as error:
        raise UnknownIssueError(url) from error
    if parts.scheme != "https" or not _HOST.fullmatch(host) or len(url) > MOST_URL or parts.username:
        raise UnknownIssueError(url)
    place = host if port is None else f"{host}:{port}"
    if match := _JIRA.fullmatch(parts.path):
        number = match[1].upper()
        return _issue(Tracker.JIRA, f"{place}/{number}", number, place, f"{parts.path}")
    if "/-/" not in parts.path and (match := _GITHUB.fullmatch(parts.path)) and "gitlab" not in host:
        name = f"{match[1]}/{match[2]}#{match[3]}"
        return _issue(Tracker.GITHUB, f"{place}/{name}", name, place, parts.path)
    if match := _GITLAB.fullmatch(parts.path):
        name = f"{match[1]}#{match[2]}"
        return _issue(Tracker.GITLAB, f"{place}/{name}", name, place, parts.path)
    raise UnknownIssueError(url)


def jira_key(base_url: str, number: str) -> str:
    """Return the key of a Jira issue, by an address of its server and its number; empty for no such issue."""
    parts = urlsplit(base_url)
    if not parts.hostname or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{1,30}-[0-9]{1,12}", number):
        return ""
    place = parts.hostname.casefold() if parts.port is None else f"{parts.hostname.casefold()}:{parts.port}"
    return f"{place}/{number.upper()}".casefold()


def _issue(tracker: Tracker, key: str, name: str, place: str, path: str) -> TrackedIssue:
    # What follows the path, such as a comment's anchor, is left out.
    return TrackedIssue(tracker, key.casefold(), name, f"https://{place}{path.rstrip('/')}")
