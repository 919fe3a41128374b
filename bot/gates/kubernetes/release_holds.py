"""What is written into a namespace for the API server to enforce. Pure; no clock, no I/O.

`deploy/helm/governor/files/admission.yaml` has the kind, and the policies that read it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.catalog.clusters import ClusterSettings
from bot.texts import clean_line

GROUP_VERSION = "governor.internal/v1"
KIND = "ReleaseHolds"
ENFORCED = "enforced"
"""The name of the object whose holds refuse changes."""
OBSERVED = "observed"
"""The name of the object whose holds only warn."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_HOLDS = 1_000
_MOST_EXEMPT = 100
_MOST_REASON = 500
_LAPSES_AFTER = timedelta(hours=24)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class HeldService:
    """A service that must not ship from `begins` (None: now) until `ends` (None: until it is lifted)."""

    service: str
    reason: str
    begins: datetime | None = None
    ends: datetime | None = None
    exempt: tuple[str, ...] = ()
    """The digests of images that may ship."""


def path_of(namespace: str, name: str) -> str:
    """Return the path of an object in a namespace."""
    return f"/apis/{GROUP_VERSION}/namespaces/{namespace}/releaseholds/{name}"


def spec_of(
    cluster: ClusterSettings, namespace: str, held: Sequence[HeldService], kept: Sequence[Any] = ()
) -> dict[str, Any]:
    """Return the `spec` of the object: the same for the same holds, whatever their order.

    `kept` are entries that stay as they are. Where there is no room for all, those that begin last are left
    out.
    """
    ordered = sorted(held, key=lambda each: (_text(each.begins) or "", each.service))
    current = [_entry(cluster, namespace, each) for each in ordered if each.begins is None]
    coming = [_entry(cluster, namespace, each) for each in ordered if each.begins is not None]
    return {"holds": [*current, *kept, *coming][:_MOST_HOLDS]}


def object_of(
    namespace: str, name: str, spec: Mapping[str, Any], resource_version: str | None
) -> dict[str, Any]:
    """Return the object to apply, on the condition that it is still of that version."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": {"app.kubernetes.io/managed-by": "governor"},
    }
    if resource_version is not None:
        metadata["resourceVersion"] = resource_version
    return {"apiVersion": GROUP_VERSION, "kind": KIND, "metadata": metadata, "spec": dict(spec)}


def lapse(now: datetime) -> datetime:
    """Return when a hold without an end lapses if Governor does not confirm it until then.

    A whole hour, so that the object is written once an hour at most.
    """
    return (now + _LAPSES_AFTER).replace(minute=0, second=0, microsecond=0) + _HOUR


def digest_in(text: str) -> str | None:
    """Return the digest of an image that the name of a change is or ends with; None where it is none."""
    found = _DIGEST.fullmatch(text.strip().casefold().rpartition("@")[2])
    return found[0] if found else None


def _entry(cluster: ClusterSettings, namespace: str, held: HeldService) -> dict[str, Any]:
    names = sorted(
        name
        for each in cluster.workloads
        if (each.service, each.namespace) == (held.service, namespace)
        for name in each.names
    )
    entry: dict[str, Any] = {"service": held.service, "reason": clean_line(held.reason, _MOST_REASON)}
    entry |= {"workloads": names} if names else {}
    entry |= {"from": _text(held.begins)} if held.begins is not None else {}
    entry |= {"until": _text(held.ends)} if held.ends is not None else {}
    entry |= {"exempt": sorted(set(held.exempt))[:_MOST_EXEMPT]} if held.exempt else {}
    return entry


def _text(at: datetime | None) -> str | None:
    """Return a time in whole seconds, as the API server counts them; rounded up: no hold ends early."""
    if at is None:
        return None
    whole = at.astimezone(UTC)
    if whole.microsecond:
        whole = whole.replace(microsecond=0) + timedelta(seconds=1)
    return f"{whole:%Y-%m-%dT%H:%M:%SZ}"
