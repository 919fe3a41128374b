"""Signs requests in at Google: by the application default credentials, as its own programs do.

https://cloud.google.com/docs/authentication/application-default-credentials
https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.bounded_body import quotable
from bot.budgets.source import SourceRefusedError, SourceUnavailableError

_SCOPE = "https://www.googleapis.com/auth/monitoring.read"


class GoogleSignIn:
    """Puts an access token into each request, and gets a new one before the old one ends."""

    def __init__(self) -> None:
        self._library = _library()
        self._credentials: Any = None
        self._lock = asyncio.Lock()

    async def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Mapping[str, str]:
        """Return the header with the token; see `SignIn`."""
        del method, url, headers, body
        async with self._lock:
            if self._credentials is None or self._credentials.token_state.name != "FRESH":
                # The library waits for the network.
                await asyncio.to_thread(self._refresh)
            return {"Authorization": f"Bearer {self._credentials.token}"}

    def _refresh(self) -> None:
        errors = self._library.auth.exceptions
        try:
            if self._credentials is None:
                self._credentials, _ = self._library.auth.default(scopes=[_SCOPE])
            self._credentials.refresh(self._library.auth.transport.requests.Request())
        except errors.DefaultCredentialsError as error:
            self._credentials = None
            raise SourceRefusedError(
                "there are no credentials for Google here: run where a service account is attached, or set "
                "GOOGLE_APPLICATION_CREDENTIALS"
            ) from error
        except errors.GoogleAuthError as error:
            kind = SourceUnavailableError if _is_transient(error) else SourceRefusedError
            raise kind(f"Google gave no token: {quotable(str(error))}") from error


def _is_transient(error: Exception) -> bool:
    return bool(getattr(error, "retryable", False)) or type(error).__name__ == "TransportError"


def _library() -> Any:
    try:
        import google.auth  # noqa: PLC0415 - an optional extra
        import google.auth.exceptions  # noqa: PLC0415
        import google.auth.transport.requests  # noqa: PLC0415
    except ImportError as error:
        raise SourceRefusedError(
            "`auth: google` needs Governor's extra `google`: see docs/install.md"
        ) from error
    return google
