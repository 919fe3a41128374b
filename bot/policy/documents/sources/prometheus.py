"""A source with Prometheus' HTTP API, as a Workspace document names it."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from bot.catalog.sources import PrometheusSettings
from bot.policy.documents.fields import Delay, HeaderName, ParameterName, Secret, Timeout, Url
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.quantities import parse_duration
from bot.policy.documents.sources.access import BasicAuth, login_faults
from bot.policy.documents.sources.cloud_auth import Auth


class PrometheusSourceSpec(Model):
    """A monitoring system with Prometheus' HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics."""

    type: Literal["prometheus"] = "prometheus"
    """What it speaks: `prometheus`, or another type that docs/sources.md names."""
    url: Url
    """Base URL of the HTTP API, without `/api/v1`."""
    bearer_token: Secret | None = Field(default=None, repr=False)
    """Token for `Authorization: Bearer`; best `${NAME}` from the environment."""
    basic_auth: BasicAuth | None = Field(default=None, repr=False)
    """User name and password, instead of `bearerToken`."""
    headers: dict[HeaderName, Secret] = Field(default_factory=dict, repr=False)
    """Further HTTP headers, such as a tenant's `X-Scope-OrgID`."""
    timeout: Timeout = parse_duration("30s")
    """How long one question may take, 100ms to 5m."""
    delay: Delay = parse_duration("0s")
    """How long after their time samples may come, 0s to 6h: `10m` for exporters of CloudWatch. Budgets are
    then those of that long ago, when all is known."""

    params: dict[ParameterName, Secret] = Field(default_factory=dict)
    """What goes with every query besides, such as Thanos' `{dedup: "true", partial_response: "false"}`."""
    ca_file: Secret | None = None
    """File with the certificates of the authorities that are trusted instead of the system's."""
    cert_file: Secret | None = None
    """File with the client's certificate, and its key unless `keyFile` names that; reread when it changes."""
    key_file: Secret | None = None
    """File with the key of the client's certificate, without a password."""
    auth: Auth | None = None
    """`google` or `{aws: {region: eu-west-1}}`: sign in at their managed Prometheus with the credentials that
    their own programs would find; needs Governor's extra `google` or `aws`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is one way to log in, and that a key has its certificate."""
        yield from login_faults(self.bearer_token, self.basic_auth)
        if self.auth is not None and (self.bearer_token is not None or self.basic_auth is not None):
            yield BrokenRule(("auth",), "`auth` excludes `bearerToken` and `basicAuth`")
        if self.key_file is not None and self.cert_file is None:
            yield BrokenRule(("keyFile",), "`keyFile` needs the `certFile` that it belongs to")

    def settings(self) -> PrometheusSettings:
        """Return it as a plain value."""
        return PrometheusSettings(
            url=self.url,
            bearer_token=self.bearer_token,
            basic_auth=self.basic_auth.pair if self.basic_auth is not None else None,
            headers=dict(self.headers),
            timeout=self.timeout,
            delay=self.delay,
            params=dict(self.params),
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
            auth=None if self.auth is None else self.auth.settings(),
        )
