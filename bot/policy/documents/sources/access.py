"""How to log in to a source over HTTP: what several types of source have in common."""

from collections.abc import Iterator

from pydantic import Field

from bot.policy.documents.fields import Secret
from bot.policy.documents.model import BrokenRule, Model


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


def login_faults(bearer_token: str | None, basic_auth: BasicAuth | None) -> Iterator[BrokenRule]:
    """Check that there is one way to log in."""
    if bearer_token is not None and basic_auth is not None:
        yield BrokenRule(("basicAuth",), "`basicAuth` and `bearerToken` exclude each other")
