"""The registry of SLI sources: builds those that the policies name, and rebuilds them when these change.

The collector is given this mapping once; it changes in place. A third party registers
`TYPE = "package.module:open_source"` in the entry point group `governor.sources`; it is called as
`open_source(settings, session)` and returns a `Source`.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

import aiohttp

from bot.budgets.source import Source, SourceRefusedError
from bot.budgets.sources.clickhouse import ClickHouseSource
from bot.budgets.sources.datadog import DatadogSource
from bot.budgets.sources.json_http import JsonSource
from bot.budgets.sources.loki import LokiSource
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.budgets.sources.sign_in import sign_in
from bot.budgets.sources.sql import SqlSource
from bot.budgets.sources.tls_files import TlsFiles
from bot.budgets.sources.unopened import UnopenedSource
from bot.catalog.catalog import Workspace
from bot.catalog.sources import (
    SOURCE_ENTRY_POINTS,
    ClickHouseSettings,
    CloudWatchSettings,
    DatadogSettings,
    JsonSettings,
    LokiSettings,
    PluginSettings,
    PrometheusSettings,
    SourceSettings,
    SqlSettings,
)


class SourceRegistry(Mapping[str, Source]):
    """The sources by the names that the policies give them."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._settings: Mapping[str, SourceSettings] = {}
        self._sources: dict[str, Source] = {}

    def follow(self, workspace: Workspace) -> None:
        """Rebuild the sources of the workspace if their settings changed."""
        if workspace.sources != self._settings:
            self._settings = dict(workspace.sources)
            self._sources = {name: self._build(settings) for name, settings in self._settings.items()}

    def __getitem__(self, name: str) -> Source:
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def _build(self, settings: SourceSettings) -> Source:
        try:
            return _OPENERS[type(settings)](settings, self._session)
        except SourceRefusedError as error:
            return UnopenedSource(error)


def _open_prometheus(settings: PrometheusSettings, session: aiohttp.ClientSession) -> Source:
    return PrometheusSource(
        settings.url,
        session,
        bearer_token=settings.bearer_token,
        basic_auth=settings.basic_auth,
        headers=settings.headers,
        timeout=settings.timeout,
        delay=settings.delay,
        params=settings.params,
        tls=TlsFiles(settings.ca_file, settings.cert_file, settings.key_file),
        signing=None if settings.auth is None else sign_in(settings.auth),
    )


def _open_cloudwatch(settings: CloudWatchSettings, _session: aiohttp.ClientSession) -> Source:
    try:
        # An extra: it need not be there.
        from bot.budgets.sources.cloudwatch import CloudWatchSource  # noqa: PLC0415
    except ImportError as error:
        raise SourceRefusedError("CloudWatch needs Governor's extra `aws`: see docs/install.md") from error
    return CloudWatchSource(settings)


def _open_plugin(settings: PluginSettings, session: aiohttp.ClientSession) -> Source:
    for point in entry_points(group=SOURCE_ENTRY_POINTS, name=settings.type):
        try:
            opened: Source = point.load()(settings.settings, session)
        except Exception as error:
            # The boundary to a package of somebody else: whatever it raises, the other sources go on.
            why = str(error) or type(error).__name__
            raise SourceRefusedError(f"the source of type {settings.type} cannot be opened: {why}") from error
        return opened
    raise SourceRefusedError(f"no installed package has sources of type {settings.type}")


_OPENERS: Mapping[type[SourceSettings], Callable[[Any, aiohttp.ClientSession], Source]] = {
    PrometheusSettings: _open_prometheus,
    LokiSettings: LokiSource,
    SqlSettings: lambda settings, _: SqlSource(settings),
    JsonSettings: JsonSource,
    DatadogSettings: DatadogSource,
    CloudWatchSettings: _open_cloudwatch,
    ClickHouseSettings: ClickHouseSource,
    PluginSettings: _open_plugin,
}
"""How each type of source is opened; what cannot be raises `SourceRefusedError`."""
