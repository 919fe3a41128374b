"""The models of `paging`: to whom `page` alerts are handed over, and the keys of single services."""

from collections.abc import Iterator

from pydantic import Field

from bot.policy.documents.fields import HeaderName, Secret, Url
from bot.policy.documents.model import BrokenRule, Model

PAGERDUTY_URL = "https://events.pagerduty.com"
OPSGENIE_URL = "https://api.opsgenie.com"


class PagerDutySpec(Model):
    """PagerDuty, by its Events API v2."""

    routing_key: Secret | None = Field(default=None, repr=False)
    """Integration key of services that name none of their own; best `${NAME}` from the environment."""
    url: Url = PAGERDUTY_URL
    """Where events go; `https://events.eu.pagerduty.com` for accounts in the EU."""


class OpsgenieSpec(Model):
    """Opsgenie, or Jira Service Management, by the Alert API."""

    api_key: Secret | None = Field(default=None, repr=False)
    """Key of an API integration, for services that name none of their own."""
    url: Url = OPSGENIE_URL
    """Base URL: `https://api.eu.opsgenie.com` in the EU, `https://api.atlassian.com/jsm/ops/integration` for
    Jira Service Management."""


class AlertmanagerSpec(Model):
    """An Alertmanager, by its API v2; its own routes decide who is told."""

    url: Url
    """Base URL, without `/api/v2`."""
    bearer_token: Secret | None = Field(default=None, repr=False)
    """Token for `Authorization: Bearer`."""
    username: Secret | None = Field(default=None, repr=False)
    """User name, instead of `bearerToken`."""
    password: Secret | None = Field(default=None, repr=False)
    """Password of the user."""
    headers: dict[HeaderName, Secret] = Field(default_factory=dict, repr=False)
    """Further HTTP headers, such as a tenant's `X-Scope-OrgID`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is one way to log in, and that it is whole."""
        if (self.username is None) != (self.password is None):
            yield BrokenRule((), "`username` and `password` belong together")
        if self.username is not None and self.bearer_token is not None:
            yield BrokenRule(("username",), "`username` and `bearerToken` exclude each other")


class PagingSpec(Model):
    """To whom burn alerts of severity `page` are handed over; to nobody but Slack if left out."""

    pagerduty: PagerDutySpec | None = None
    """PagerDuty: an incident for each SLO that pages, resolved when the alert ends."""
    opsgenie: OpsgenieSpec | None = None
    """Opsgenie: an alert for each SLO that pages, closed when it ends."""
    alertmanager: AlertmanagerSpec | None = None
    """An Alertmanager: an alert for each SLO that pages."""


class ServicePagingSpec(Model):
    """The service's own keys, where the vendor routes by them."""

    pagerduty: Secret | None = Field(default=None, repr=False)
    """Integration key of the service in PagerDuty; best `${NAME}` from the environment."""
    opsgenie: Secret | None = Field(default=None, repr=False)
    """Key of an API integration of the service's team in Opsgenie."""
