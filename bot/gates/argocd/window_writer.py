"""Keeps Governor's sync windows in step with what is held, in the AppProjects that the policies name."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from bot.catalog.catalog import Catalog
from bot.catalog.clusters import ClusterSettings, ProjectSettings
from bot.gates.argocd.sync_window import ProjectHold, applications_of, patch_of, window_of
from bot.gates.kubernetes.cluster import Cluster, ClusterError, ObjectChangedError, PatchKind
from bot.gates.kubernetes.held_services import HeldServiceReader, HeldServices

log = structlog.get_logger(__name__)

_ATTEMPTS = 4


class SyncWindowWriter:
    """Writes the windows of a cluster's projects."""

    def __init__(self, held_services: HeldServiceReader) -> None:
        self._held_services = held_services

    async def keep(
        self,
        cluster: Cluster,
        settings: ClusterSettings,
        projects: Sequence[ProjectSettings],
        catalog: Catalog,
        now: datetime,
    ) -> Mapping[str, ClusterError]:
        """Bring projects in step; return the errors of those that could not be, by their paths."""
        errors: dict[str, ClusterError] = {}
        for project in projects:
            try:
                await self._keep(cluster, settings, project, catalog, now)
            except ClusterError as error:
                errors[path_of(project)] = error
        return errors

    async def _keep(
        self,
        cluster: Cluster,
        settings: ClusterSettings,
        project: ProjectSettings,
        catalog: Catalog,
        now: datetime,
    ) -> None:
        path = path_of(project)
        for attempt in range(_ATTEMPTS):
            # The project is read before the holds: what is written rests on no older ones than its version.
            found = await cluster.read(path)
            held = await self._held_services.read(catalog, settings.environment, now)
            hold = hold_of(project, held, now)
            operations = patch_of(found, None if hold is None else window_of(hold, now))
            if not operations:
                return
            try:
                await cluster.patch(path, PatchKind.JSON, list(operations))
            except ObjectChangedError:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            held_apps = [] if hold is None else list(hold.applications)
            log.info("sync_window_written", cluster=cluster.name, project=project.name, held=held_apps[:20])
            return


def path_of(project: ProjectSettings) -> str:
    """Return the path of an AppProject."""
    return f"/apis/argoproj.io/v1alpha1/namespaces/{project.namespace}/appprojects/{project.name}"


def hold_of(project: ProjectSettings, held: HeldServices, now: datetime) -> ProjectHold | None:
    """Return what is held of a project now; None where nothing is."""
    current = [each for each in held.enforced if each.begins is None or each.begins <= now]
    named = {each.service for each in project.applications}
    holds = [each for each in current if each.service in named]
    if not holds:
        return None
    ends = [each.ends for each in holds if each.ends is not None]
    return ProjectHold(
        applications_of(project, frozenset(each.service for each in holds)),
        "; ".join(f"{each.service}: {each.reason}" for each in holds),
        max(ends) if len(ends) == len(holds) else None,
    )
