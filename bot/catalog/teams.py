"""The teams that share a service, and the port that says who is in a team.

A team is a user group, a person, or a list of them: in a workspace without user groups, which Slack's free
plan does not have, the people are listed.

TeamUnknownError    the chat system does not say who is in a team; `retryable` if it may say so later
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

Team = tuple[str, ...]
"""User groups (`@handle`) and people (`U…`), qualified by their Slack workspace; empty if nobody is named."""


@dataclass(frozen=True, slots=True)
class Teams:
    """The two teams that share a service."""

    development: Team = ()
    reliability: Team = ()

    @property
    def entries(self) -> Team:
        """All user groups and people of both teams, each once."""
        return each_once((*self.development, *self.reliability))


class TeamUnknownError(Exception):
    """Nobody knows who is in a team; `error` is the chat system's own code."""

    def __init__(self, error: str, *, retryable: bool, after_s: float | None = None) -> None:
        super().__init__(f"nobody knows who is in the team: {error}")
        self.error = error
        self.retryable = retryable
        self.after_s = after_s


class TeamMembers(Protocol):
    """Says who is in a team."""

    async def of(self, team: Iterable[str]) -> Sequence[str]:
        """Return the ids of a team's people, each once; raises `TeamUnknownError`.

        They come as listed, those of a user group in the order of their ids. The entries of a team are all
        of one Slack workspace; so are the people, whose ids are not qualified.
        """
        ...


def each_once(entries: Iterable[str]) -> Team:
    """Return the entries in their order without repetitions."""
    return tuple(dict.fromkeys(entries))
