"""Keeps the objects in clusters in step with what is held.

Each object is read first, then the holds, then the object is applied on the condition that nobody changed it
meanwhile: a replica that was slow cannot undo what another wrote from newer holds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog

from bot.catalog.catalog import Catalog
from bot.catalog.clusters import ClusterSettings
from bot.gates.kubernetes.cluster import (
    Cluster,
    ClusterError,
    KubernetesObject,
    ObjectMissingError,
    PatchKind,
)
from bot.gates.kubernetes.held_services import HeldServiceReader, HeldServices
from bot.gates.kubernetes.release_holds import ENFORCED, OBSERVED, HeldService, object_of, path_of, spec_of

log = structlog.get_logger(__name__)

_AT_ONCE = 8

Result = TypeVar("Result")

Found = Mapping[str, KubernetesObject | None]
"""The objects of a namespace by name, as they were read; None for one that is missing."""


class ClusterHoldWriter:
    """Writes the holds of a cluster's namespaces."""

    def __init__(self, held_services: HeldServiceReader) -> None:
        self._held_services = held_services

    async def keep(
        self,
        cluster: Cluster,
        settings: ClusterSettings,
        namespaces: Sequence[str],
        catalog: Catalog,
        now: datetime,
    ) -> Mapping[str, ClusterError]:
        """Bring namespaces in step; return the errors of those that could not be."""
        turns = asyncio.Semaphore(_AT_ONCE)
        read = await _each(turns, namespaces, partial(_read, cluster))
        found = {name: each for name, each in read.items() if not isinstance(each, ClusterError)}
        errors = {name: each for name, each in read.items() if isinstance(each, ClusterError)}
        if found:
            held = await self._held_services.read(catalog, settings.environment, now)
            write = partial(_write, cluster, settings, found, held)
            written = await _each(turns, list(found), write)
            errors |= {name: each for name, each in written.items() if isinstance(each, ClusterError)}
        return errors


async def _each(
    turns: asyncio.Semaphore, namespaces: Sequence[str], work: Callable[[str], Awaitable[Result]]
) -> Mapping[str, Result | ClusterError]:
    async def one(namespace: str) -> Result | ClusterError:
        async with turns:
            try:
                return await work(namespace)
            except ClusterError as error:
                return error

    results = await asyncio.gather(*(one(namespace) for namespace in namespaces))
    return dict(zip(namespaces, results, strict=True))


async def _read(cluster: Cluster, namespace: str) -> Found:
    return {name: await _read_one(cluster, namespace, name) for name in (ENFORCED, OBSERVED)}


async def _read_one(cluster: Cluster, namespace: str, name: str) -> KubernetesObject | None:
    try:
        return await cluster.read(path_of(namespace, name))
    except ObjectMissingError:
        return None


async def _write(
    cluster: Cluster,
    settings: ClusterSettings,
    found: Mapping[str, Found],
    held: HeldServices,
    namespace: str,
) -> None:
    for name, services in ((ENFORCED, held.enforced), (OBSERVED, held.observed)):
        existing = found[namespace][name]
        kept = _kept(existing, held)
        spec = spec_of(settings, namespace, services, kept)
        if existing is not None and existing.get("spec") == spec:
            continue
        version = (existing or {}).get("metadata", {}).get("resourceVersion")
        await cluster.patch(
            path_of(namespace, name), PatchKind.APPLY, object_of(namespace, name, spec, version)
        )
        log.info(
            "cluster_holds_written",
            cluster=cluster.name,
            namespace=namespace,
            object=name,
            services=_names(services),
        )
        if left_out := len(services) + len(kept) - len(spec["holds"]):
            log.warning("cluster_holds_left_out", cluster=cluster.name, namespace=namespace, count=left_out)


def _kept(existing: KubernetesObject | None, held: HeldServices) -> list[Any]:
    """Return the entries of services of which nothing is known yet: they stay as they were."""
    holds = ((existing or {}).get("spec") or {}).get("holds") or []
    return [hold for hold in holds if isinstance(hold, dict) and hold.get("service") in held.unknown]


def _names(services: tuple[HeldService, ...]) -> list[str]:
    return sorted({each.service for each in services})[:20]
