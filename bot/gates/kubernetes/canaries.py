"""Canaries of Argo Rollouts and Flagger, by the API server.

What is patched is what their own command lines and documentation patch: a Rollout is paused in its `spec` and
aborted and promoted in its `status`; a Canary of Flagger is suspended, and rolls back once its failed checks
have reached their threshold.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.canaries.canary import (
    Canary,
    CanaryAction,
    CanaryPhase,
    CanaryStateError,
    CanaryUnavailableError,
)
from bot.catalog.clusters import CanarySettings, CanaryTool, ClusterSettings
from bot.gates.kubernetes.cluster import Cluster, ClusterError, KubernetesObject, PatchKind
from bot.gates.kubernetes.clusters import Clusters
from bot.texts import clean_line

_MOST_NOTE = 300
_PATHS = {
    CanaryTool.ROLLOUTS: "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/{name}",
    CanaryTool.FLAGGER: "/apis/flagger.app/v1beta1/namespaces/{namespace}/canaries/{name}",
}
_FLAGGER_PHASES = {
    "Initializing": CanaryPhase.PROGRESSING,
    "Waiting": CanaryPhase.PAUSED,
    "Progressing": CanaryPhase.PROGRESSING,
    "WaitingPromotion": CanaryPhase.PAUSED,
    "Promoting": CanaryPhase.PROGRESSING,
    "Finalising": CanaryPhase.PROGRESSING,
    "Initialized": CanaryPhase.STEADY,
    "Succeeded": CanaryPhase.STEADY,
    "Failed": CanaryPhase.ABORTED,
}
_CAN_ROLL_BACK = {"Progressing", "WaitingPromotion"}
"""Flagger's phases in which it counts failed checks."""

_Patch = tuple[str, dict[str, Any]]
"""What is added to the object's path, and the merge patch."""


class ClusterCanaries:
    """Reads and steers canaries in clusters."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters

    async def read(self, cluster: ClusterSettings, settings: CanarySettings) -> Canary:
        """Return a canary as it is now; raises `CanaryUnavailableError`."""
        found = await _asked(self._clusters.of(cluster), settings)
        if settings.tool is CanaryTool.ROLLOUTS:
            return rollout_of(cluster, settings, found)
        return flagger_canary_of(cluster, settings, found)

    async def carry_out(self, canary: Canary, action: CanaryAction) -> None:
        """Patch it as it is now; raises `CanaryStateError` and `CanaryUnavailableError`."""
        client = self._clusters.of(canary.cluster)
        found = await _asked(client, canary.settings)
        read = rollout_of if canary.settings.tool is CanaryTool.ROLLOUTS else flagger_canary_of
        if action.raises and read(canary.cluster, canary.settings, found).images != canary.images:
            raise CanaryStateError(f"{canary.name} ships another version since it was looked at")
        patches = _rollout_patches if canary.settings.tool is CanaryTool.ROLLOUTS else _flagger_patches
        path = path_of(canary.settings)
        try:
            for suffix, body in patches(canary, found, action):
                await client.patch(f"{path}{suffix}", PatchKind.MERGE, body)
        except ClusterError as error:
            raise CanaryUnavailableError(str(error)) from error


def rollout_of(cluster: ClusterSettings, settings: CanarySettings, found: KubernetesObject) -> Canary:
    """Return a Rollout of Argo Rollouts as a canary."""
    spec, status = _mapping(found, "spec"), _mapping(found, "status")
    is_waiting = bool(status.get("pauseConditions")) or spec.get("paused") is True
    phase = {
        "Healthy": CanaryPhase.STEADY,
        "Progressing": CanaryPhase.PROGRESSING,
        "Paused": CanaryPhase.PAUSED,
        "Degraded": CanaryPhase.FAILED,
    }.get(_text(status, "phase"), CanaryPhase.UNKNOWN)
    if status.get("abort") is True:
        phase = CanaryPhase.ABORTED
    elif is_waiting and phase is not CanaryPhase.STEADY:
        phase = CanaryPhase.PAUSED
    steps = _mapping(_mapping(spec, "strategy"), "canary").get("steps")
    step = status.get("currentStepIndex")
    weights = _mapping(_mapping(_mapping(status, "canary"), "weights"), "canary")
    weight = weights.get("weight")
    return Canary(
        settings,
        cluster,
        phase,
        weight=weight if isinstance(weight, int) else _weight_of_steps(steps, step, phase),
        step=step if isinstance(step, int) else None,
        steps=len(steps) if isinstance(steps, list) else None,
        note=clean_line(_text(status, "message"), _MOST_NOTE),
        images=_images(spec),
        started_at=_condition_time(status, "Progressing") if phase is not CanaryPhase.STEADY else None,
        is_suspended=spec.get("paused") is True,
    )


def flagger_canary_of(cluster: ClusterSettings, settings: CanarySettings, found: KubernetesObject) -> Canary:
    """Return a Canary of Flagger."""
    spec, status = _mapping(found, "spec"), _mapping(found, "status")
    phase = _FLAGGER_PHASES.get(_text(status, "phase"), CanaryPhase.UNKNOWN)
    is_suspended = spec.get("suspend") is True
    if is_suspended and phase is CanaryPhase.PROGRESSING:
        phase = CanaryPhase.PAUSED
    weight, iterations = status.get("canaryWeight"), status.get("iterations")
    conditions = status.get("conditions")
    notes = [_text(each, "message") for each in conditions] if isinstance(conditions, list) else []
    return Canary(
        settings,
        cluster,
        phase,
        weight=weight if isinstance(weight, int) else None,
        step=iterations if isinstance(iterations, int) and iterations else None,
        note=clean_line(next((note for note in notes if note), ""), _MOST_NOTE),
        started_at=_time(status.get("lastTransitionTime")) if phase is not CanaryPhase.STEADY else None,
        is_suspended=is_suspended,
    )


async def _asked(client: Cluster, settings: CanarySettings) -> KubernetesObject:
    try:
        return await client.read(path_of(settings))
    except ClusterError as error:
        raise CanaryUnavailableError(str(error)) from error


def path_of(settings: CanarySettings) -> str:
    """Return the path of the object that a canary is."""
    return _PATHS[settings.tool].format(namespace=settings.namespace, name=settings.name)


def _rollout_patches(canary: Canary, found: KubernetesObject, action: CanaryAction) -> Sequence[_Patch]:
    spec, status = _mapping(found, "spec"), _mapping(found, "status")
    match action:
        case CanaryAction.PAUSE:
            if spec.get("paused") is True:
                raise CanaryStateError(f"{canary.name} is paused already")
            return [("", {"spec": {"paused": True}})]
        case CanaryAction.ABORT:
            if status.get("abort") is True or not canary.is_under_way:
                raise CanaryStateError(f"{canary.name} is {canary.phase}: there is nothing to abort")
            return [("/status", {"status": {"abort": True}})]
        case CanaryAction.PROMOTE_FULLY:
            resumed = [("", {"spec": {"paused": False}})] if spec.get("paused") is True else []
            return [("/status", {"status": {"promoteFull": True}}), *resumed]
    # Either the reasons to wait are cleared, or a step is skipped: never both.
    patches: list[_Patch] = []
    if status.get("pauseConditions"):
        patches.append(("/status", {"status": {"pauseConditions": None}}))
    if spec.get("paused") is True:
        patches.append(("", {"spec": {"paused": False}}))
    if not patches:
        raise CanaryStateError(f"{canary.name} does not wait for anybody; promote it fully to skip its steps")
    return patches


def _flagger_patches(canary: Canary, found: KubernetesObject, action: CanaryAction) -> Sequence[_Patch]:
    spec, status = _mapping(found, "spec"), _mapping(found, "status")
    is_suspended = spec.get("suspend") is True
    resumed: list[_Patch] = [("", {"spec": {"suspend": False}})] if is_suspended else []
    match action:
        case CanaryAction.PAUSE:
            if is_suspended:
                raise CanaryStateError(f"{canary.name} is paused already")
            return [("", {"spec": {"suspend": True}})]
        case CanaryAction.ABORT:
            if _text(status, "phase") not in _CAN_ROLL_BACK:
                phase = _text(status, "phase") or "new"
                raise CanaryStateError(f"{canary.name} is {phase}: Flagger has nothing to roll back")
            threshold = _mapping(spec, "analysis").get("threshold")
            failed = threshold if isinstance(threshold, int) and threshold > 0 else 1
            return [("/status", {"status": {"failedChecks": failed}}), *resumed]
        case CanaryAction.PROMOTE_FULLY:
            raise CanaryStateError("Flagger skips no steps: it goes on by its own analysis")
    if not is_suspended:
        raise CanaryStateError(
            f"{canary.name} was not paused by anybody: it goes on by Flagger's own analysis"
        )
    return resumed


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def _text(value: object, key: str) -> str:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, str) else ""


def _images(spec: Mapping[str, Any]) -> tuple[str, ...]:
    containers = _mapping(_mapping(spec, "template"), "spec").get("containers")
    images = [_text(each, "image") for each in containers] if isinstance(containers, list) else []
    return tuple(clean_line(image, _MOST_NOTE) for image in images if image)


def _weight_of_steps(steps: object, step: object, phase: CanaryPhase) -> int | None:
    """Return the weight that the last done step set; 100 % once nothing is under way."""
    if phase is CanaryPhase.STEADY:
        return 100
    if phase is CanaryPhase.ABORTED:
        return 0
    if not isinstance(steps, list) or not isinstance(step, int):
        return None
    weights = [each.get("setWeight") for each in steps[: step + 1] if isinstance(each, dict)]
    set_weights = [weight for weight in weights if isinstance(weight, int)]
    return set_weights[-1] if set_weights else 0


def _condition_time(status: Mapping[str, Any], kind: str) -> datetime | None:
    conditions = status.get("conditions")
    for each in conditions if isinstance(conditions, list) else []:
        if _text(each, "type") == kind:
            return _time(each.get("lastTransitionTime"))
    return None


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None
