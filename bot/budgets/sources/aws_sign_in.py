"""Signs requests in at Amazon: Signature Version 4 with the default credentials, as its own programs do.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-APIReference-Prometheus-Compatible-Apis.html
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.bounded_body import quotable
from bot.budgets.source import SourceRefusedError, SourceUnavailableError


class AwsSignIn:
    """Signs each request for a service (`aps` is the managed Prometheus) in a region."""

    def __init__(self, region: str, service: str) -> None:
        self._library = _library()
        self._region = region
        self._service = service
        self._credentials: Any = None

    async def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Mapping[str, str]:
        """Return the headers with the signature; see `SignIn`."""
        # The library may wait for the network: credentials that a role has end within hours.
        frozen = await asyncio.to_thread(self._frozen)
        request = self._library.awsrequest.AWSRequest(method, url, dict(headers), body)
        self._library.auth.SigV4Auth(frozen, self._service, self._region).add_auth(request)
        return {name: value for name, value in request.headers.items() if name not in headers}

    def _frozen(self) -> Any:
        errors = self._library.exceptions
        try:
            if self._credentials is None:
                self._credentials = self._library.session.Session().get_credentials()
            if self._credentials is not None:
                return self._credentials.get_frozen_credentials()
        except (errors.BotoCoreError, errors.ClientError) as error:
            raise SourceUnavailableError(f"Amazon gave no credentials: {quotable(str(error))}") from error
        raise SourceRefusedError(
            "there are no credentials for Amazon here: run with a role, or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )


def _library() -> Any:
    try:
        import botocore.auth  # noqa: PLC0415 - an optional extra
        import botocore.awsrequest  # noqa: PLC0415
        import botocore.exceptions  # noqa: PLC0415
        import botocore.session  # noqa: PLC0415
    except ImportError as error:
        raise SourceRefusedError(
            "`auth` at Amazon needs Governor's extra `aws`: see docs/install.md"
        ) from error
    return botocore
