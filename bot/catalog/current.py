"""The catalog in force: one object that the policy watcher sets and everything else reads."""

from bot.catalog.catalog import Catalog, Workspace


class CurrentCatalog:
    """Holds the catalog in force. It changes while the bot runs: read it when needed, do not store it."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        self._catalog = catalog

    @property
    def catalog(self) -> Catalog:
        """The last good set of policies; raises RuntimeError before the first was read."""
        if self._catalog is None:
            raise RuntimeError("no policies were read yet: start() does")
        return self._catalog

    def set(self, catalog: Catalog) -> None:
        """Put another catalog in force."""
        self._catalog = catalog

    @property
    def workspace(self) -> Workspace:
        """The main workspace of the catalog in force."""
        return self.catalog.workspace

    def seen_from(self, team: str | None) -> "CurrentCatalog":
        """Return the catalog in force as seen from a further Slack workspace, from the main one for None."""
        return _CatalogOfTeam(self, team)


class _CatalogOfTeam(CurrentCatalog):
    """The catalog in force as seen from one Slack workspace, derived once for each catalog."""

    def __init__(self, full: CurrentCatalog, team: str | None) -> None:
        super().__init__()
        self._full = full
        self._team = team
        self._derived_from: Catalog | None = None

    @property
    def catalog(self) -> Catalog:
        """The services of the workspace."""
        full = self._full.catalog
        if self._catalog is None or self._derived_from is not full:
            self._catalog, self._derived_from = full.seen_from(self._team), full
        return self._catalog
