"""How to log in to a source over HTTP: what several types of source have in common."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from bot.policy.documents.fields import Delay, HeaderName, Secret, Timeout, Url
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.quantities import parse_duration


class BasicAuth(Model):
    """A user name and a password."""

    username: Secret
    """The user's name."""
    password: Secret = Field(repr=False)
    """The password; best `${NAME}` from the environment."""

    @property
    def pair(self) -> tuple[str, str]:
        """The user's name, and the password."""
        return self.username, self.password


class HttpSourceSpec(Model):
    """A source that is asked over HTTP: its address, and how to log in."""

    url: Url
    """Base URL of its API; best `${NAME}` from the environment."""
    bearer_token: Secret | None = Field(default=None, repr=False)
    """Token for `Authorization: Bearer`; best `${NAME}` from the environment."""
    basic_auth: BasicAuth | None = Field(default=None, repr=False)
    """User name and password, instead of `bearerToken`."""
    headers: dict[HeaderName, Secret] = Field(default_factory=dict, repr=False)
    """Further HTTP headers."""
    timeout: Timeout = parse_duration("30s")
    """How long one request may take, 100ms to 5m."""
    delay: Delay = parse_duration("0s")
    """How late events come at most, 0s to 6h: younger ones are not asked for yet."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is one way to log in."""
        yield from login_faults(self.bearer_token, self.basic_auth)

    def access(self) -> dict[str, Any]:
        """Return the fields of `HttpSettings`."""
        return {
            "url": self.url,
            "bearer_token": self.bearer_token,
            "basic_auth": self.basic_auth.pair if self.basic_auth is not None else None,
            "headers": dict(self.headers),
            "timeout": self.timeout,
            "delay": self.delay,
        }


def login_faults(bearer_token: str | None, basic_auth: BasicAuth | None) -> Iterator[BrokenRule]:
    """Check that there is one way to log in."""
    if bearer_token is not None and basic_auth is not None:
        yield BrokenRule(("basicAuth",), "`basicAuth` and `bearerToken` exclude each other")
