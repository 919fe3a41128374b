"""The sources of SLIs that a workspace names: how each is reached, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

SOURCE_ENTRY_POINTS = "governor.sources"
"""The entry points by which installed packages add types of source."""


@dataclass(frozen=True, slots=True)
class GoogleAuth:
    """Sign in with Google's application default credentials."""


@dataclass(frozen=True, slots=True)
class AwsAuth:
    """Sign in with Amazon's default credentials: which service is asked, in which region."""

    region: str
    service: str = "aps"


CloudAuth = GoogleAuth | AwsAuth


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """The address of a Prometheus-compatible server, and what requests to it must carry."""

    url: str
    bearer_token: str | None = field(default=None, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: timedelta = timedelta(seconds=30)
    delay: timedelta = timedelta()
    """How long after its time a sample may come."""
    params: Mapping[str, str] = field(default_factory=dict)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    auth: CloudAuth | None = None


@dataclass(frozen=True)
class HttpSettings:
    """The address of a server, what requests to it must carry, and how late its events come."""

    url: str
    bearer_token: str | None = field(default=None, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: timedelta = timedelta(seconds=30)
    delay: timedelta = timedelta()


@dataclass(frozen=True)
class LokiSettings(HttpSettings):
    """A Loki; a tenant's name is among the headers."""


@dataclass(frozen=True, slots=True)
class SqlSettings:
    """The address of an SQL database, with its credentials."""

    url: str = field(repr=False)
    timeout: timedelta = timedelta(seconds=30)
    delay: timedelta = timedelta()


@dataclass(frozen=True)
class JsonSettings(HttpSettings):
    """A server that answers JSON; `check` is the path that shows whether it answers."""

    check: str = "/"


@dataclass(frozen=True)
class ClickHouseSettings(HttpSettings):
    """A database of a ClickHouse."""

    database: str = "default"


@dataclass(frozen=True, slots=True)
class DatadogSettings:
    """The address of Datadog's API, and the keys of an account."""

    url: str
    api_key: str = field(repr=False)
    application_key: str = field(repr=False)
    timeout: timedelta = timedelta(seconds=30)
    delay: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class CloudWatchSettings:
    """A region of AWS; without an access key the environment has the credentials."""

    region: str
    url: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    timeout: timedelta = timedelta(seconds=30)
    delay: timedelta = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """A source of a type that an installed package offers, with the settings as they are written."""

    type: str
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)


SourceSettings = (
    PrometheusSettings
    | LokiSettings
    | SqlSettings
    | JsonSettings
    | DatadogSettings
    | CloudWatchSettings
    | ClickHouseSettings
    | PluginSettings
)
