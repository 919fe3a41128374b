"""How requests to a source are signed in where a header of the policy is not enough."""

from collections.abc import Callable, Mapping
from typing import Protocol, assert_never

from bot.budgets.sources.aws_sign_in import AwsSignIn
from bot.budgets.sources.google_sign_in import GoogleSignIn
from bot.catalog.sources import AwsAuth, CloudAuth, GoogleAuth


class SignIn(Protocol):
    """Signs requests in at a vendor."""

    async def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Mapping[str, str]:
        """Return the headers that a request needs besides; raises `SourceError` where there is no identity.

        `headers` are those that the request has, `url` and `body` as they are sent.
        """
        ...


SignInFactory = Callable[[CloudAuth], SignIn]


def sign_in(auth: CloudAuth) -> SignIn:
    """Return how to sign in as a policy says; raises `SourceRefusedError` where an extra is missing."""
    match auth:
        case GoogleAuth():
            return GoogleSignIn()
        case AwsAuth(region, service):
            return AwsSignIn(region, service)
        case _:
            assert_never(auth)
