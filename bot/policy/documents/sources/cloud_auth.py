"""How to sign in at a vendor's managed Prometheus: with the credentials that its own programs would find."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from bot.catalog.sources import AwsAuth, CloudAuth, GoogleAuth
from bot.policy.documents.fields import AwsName
from bot.policy.documents.model import Model
from bot.policy.faults import InvalidValueError

_GOOGLE = "google"
_ALLOWED = "google, or {aws: {region: eu-west-1}}"


class AwsAuthSpec(Model):
    """Amazon: the default credentials, and what they are for."""

    region: AwsName
    """Region of the workspace, such as `eu-west-1`."""
    service: AwsName = "aps"
    """Name of the service in signatures; `aps` is the managed Prometheus."""


class CloudAuthSpec(Model):
    """Google, where nothing else is said, or Amazon."""

    aws: AwsAuthSpec | None = None
    """Amazon: Signature Version 4 with the default credentials."""

    def settings(self) -> CloudAuth:
        """Return it as a plain value."""
        return GoogleAuth() if self.aws is None else AwsAuth(self.aws.region, self.aws.service)


def _named(value: object) -> object:
    if value == _GOOGLE:
        return {}
    if isinstance(value, dict) and list(value) == ["aws"] and isinstance(value["aws"], dict):
        return value
    raise InvalidValueError("this names no way to sign in", _ALLOWED)


_NAME = {"type": "string"}
_SCHEMA: dict[str, Any] = {
    "oneOf": [
        {"const": _GOOGLE},
        {
            "type": "object",
            "properties": {
                "aws": {
                    "type": "object",
                    "properties": {"region": _NAME, "service": _NAME},
                    "required": ["region"],
                    "additionalProperties": False,
                }
            },
            "required": ["aws"],
            "additionalProperties": False,
        },
    ]
}
Auth = Annotated[CloudAuthSpec, BeforeValidator(_named), WithJsonSchema(_SCHEMA)]
