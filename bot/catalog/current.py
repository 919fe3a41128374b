"""The policies in force: one object that the watcher of the policies sets and everybody else reads."""

from bot.catalog.catalog import Catalog, Workspace


class CurrentCatalog:
    """Holds the catalog in force. It changes while the bot runs: read it where it is needed, keep none."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        self._catalog = catalog

    @property
    def catalog(self) -> Catalog:
        """The last good set of policies; raises RuntimeError before the first was read."""
        if self._catalog is None:
            raise RuntimeError("no policies were read yet")
        return self._catalog

    def set(self, catalog: Catalog) -> None:
        """Put another catalog in force."""
        self._catalog = catalog

    @property
    def workspace(self) -> Workspace:
        """The main workspace of the catalog in force."""
        return self.catalog.workspace

    def seen_from(self, team: str | None) -> "CurrentCatalog":
        """Return the part of it that people of a further Slack workspace see; all of it for None."""
        return _CatalogOfTeam(self, team)


class _CatalogOfTeam(CurrentCatalog):
    """What one Slack workspace sees, made once for each catalog."""

    def __init__(self, whole: CurrentCatalog, team: str | None) -> None:
        super().__init__()
        self._whole = whole
        self._team = team
        self._made_from: Catalog | None = None

    @property
    def catalog(self) -> Catalog:
        """The services of the workspace."""
        whole = self._whole.catalog
        if self._catalog is None or self._made_from is not whole:
            self._catalog, self._made_from = whole.seen_from(self._team), whole
        return self._catalog
