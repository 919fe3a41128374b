"""Who or what deployed: a person, a pipeline or an agent. Pure; no clock, no I/O."""

from collections.abc import Collection
from enum import StrEnum

_BOT = "[bot]"


class Actor(StrEnum):
    """The kind of whoever deployed."""

    PERSON = "person"
    PIPELINE = "pipeline"
    AGENT = "agent"


class AgentAccounts:
    """The accounts of coding agents. Case and GitHub's ending `[bot]` make no difference."""

    def __init__(self, logins: Collection[str] = ()) -> None:
        self._logins = frozenset(map(_plain, logins))

    def __contains__(self, login: str) -> bool:
        return _plain(login) in self._logins


def actor_at_github(login: str | None, kind: str | None, *, by_app: bool, agents: AgentAccounts) -> Actor:
    """Return who deployed at GitHub, by the creator's login and type (`User`, `Bot`, `Organization`).

    A deployment that an app such as GitHub Actions made for somebody is a pipeline's: that person only
    merged or pressed a button.
    """
    if login is None:
        return Actor.PIPELINE
    if login in agents:
        return Actor.AGENT
    is_person = kind in {"User", None} and not login.casefold().endswith(_BOT)
    return Actor.PERSON if is_person and not by_app else Actor.PIPELINE


def _plain(login: str) -> str:
    return login.strip().casefold().removesuffix(_BOT)
