"""The clusters that the policies in force name, each opened once."""

from pathlib import Path

from bot.catalog.clusters import ClusterSettings
from bot.catalog.current import CurrentCatalog
from bot.gates.kubernetes.client import ClusterClient


class Clusters:
    """Opens and closes clusters as the policies name them; `kubeconfig` is the file of their contexts."""

    def __init__(self, current: CurrentCatalog, kubeconfig: Path | None) -> None:
        self._current = current
        self._kubeconfig = kubeconfig
        self._opened: dict[tuple[str, str | None], ClusterClient] = {}

    @property
    def settings(self) -> tuple[ClusterSettings, ...]:
        """The clusters that the policies in force name."""
        return self._current.catalog.workspace.gates.clusters

    def of(self, settings: ClusterSettings) -> ClusterClient:
        """Return the client of a cluster; it asks nothing yet."""
        key = (settings.name, settings.context)
        if key not in self._opened:
            self._opened[key] = ClusterClient(settings, self._kubeconfig)
        return self._opened[key]

    async def close_unnamed(self) -> None:
        """Close those that the policies do not name any more."""
        named = {(settings.name, settings.context) for settings in self.settings}
        for key in [key for key in self._opened if key not in named]:
            await self._opened.pop(key).close()

    async def close(self) -> None:
        """Close all."""
        for client in self._opened.values():
            await client.close()
