"""The registry of SLI sources: builds those that the policies name, and rebuilds them when these change.

The collector is given this mapping once; it changes in place.
"""

from collections.abc import Iterator, Mapping

import aiohttp

from bot.budgets.source import Source
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.catalog import PrometheusSettings, Workspace


class SourceRegistry(Mapping[str, Source]):
    """The sources by the names that the policies give them."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._settings: Mapping[str, PrometheusSettings] = {}
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

    def _build(self, settings: PrometheusSettings) -> Source:
        return PrometheusSource(
            settings.url,
            self._session,
            bearer_token=settings.bearer_token,
            basic_auth=settings.basic_auth,
            headers=settings.headers,
            timeout=settings.timeout,
        )
