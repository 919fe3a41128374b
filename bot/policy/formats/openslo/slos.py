"""An SLO of OpenSLO, of any version, as SLOs of the own format: one for each of its objectives. Pure."""

from collections.abc import Sequence
from typing import Final

from bot.policy.formats.noted_fields import NotedFields
from bot.policy.formats.objectives import percent
from bot.policy.formats.openslo.alerts import note_alert_policies
from bot.policy.formats.openslo.indicators import (
    BudgetingMethod,
    Indicator,
    ratio_indicator,
    threshold_indicator,
)
from bot.policy.formats.openslo.objects import V1ALPHA, OpenSloObjects
from bot.policy.formats.openslo.own_annotations import OWN, own_name, own_sli, own_window
from bot.policy.formats.openslo.windows import window_of
from bot.policy.formats.reading import NoteKind, ReadSlo
from bot.policy.formats.values import NAME_AT_MOST, name_of

_ENDING_AT_MOST: Final = 40
_OF_ALPHA: Final = ("timeWindows",)
_OF_LATER: Final = ("timeWindow", "indicatorRef", "alertPolicies")


def slos_of(root: NotedFields, objects: OpenSloObjects, source: str) -> tuple[ReadSlo, ...]:
    """Return the SLOs of one document; raises `RefusedDocumentError`."""
    spec = root.required_mapping("spec")
    metadata = root.required_mapping("metadata")
    name = own_name(metadata) or metadata.required_text("name")
    service = spec.required_text("serviceRef" if "serviceRef" in spec else "service")
    spec.ignore("description")
    _warn_of_mixture(root, spec)
    labels, annotations = texts(metadata, "labels"), texts(metadata, "annotations")
    namespace = metadata.text("namespace")
    if namespace:
        labels = {"namespace": namespace, **labels}
    metadata.ignore("name", "displayName")
    annotations = {key: text for key, text in annotations.items() if key not in OWN}
    method = _method(spec)
    objectives = spec.mappings("objectives")
    if not objectives:
        raise spec.refusal("objectives", "the SLO has no objective")
    _refuse_composite(objectives)
    # What is not measured at all is the first thing to know.
    indicators = [_indicator(root, each, method, objects, source) for each in objectives]
    window = own_window(metadata, spec) or window_of(spec)
    named = {"window": window} if window is not None else {}
    slos = [
        ReadSlo(
            service=service,
            slo={
                "name": slo_name,
                "objective": _target(objective),
                **named,
                "sli": indicator.sli,
            },
            labels=labels,
            annotations=annotations,
            for_each=indicator.by,
            source_type=indicator.source_type,
            path=objective.path,
        )
        for slo_name, objective, indicator in zip(
            _names(name, objectives), objectives, indicators, strict=True
        )
    ]
    for objective in objectives:
        objective.ignore("displayName")
    if len(slos) > 1:
        listed = ", ".join(f"`{each.slo['name']}`" for each in slos)
        spec.note(NoteKind.CHANGED, "objectives", f"each objective is an SLO of its own: {listed}")
    note_alert_policies(spec, objects)
    return tuple(slos)


def texts(metadata: NotedFields, key: str) -> dict[str, str]:
    """Return labels or annotations; OpenSLO's labels may have several values."""
    written = metadata.take(key)
    if not isinstance(written, dict):
        if written is not None:
            raise metadata.unlike(key, "a mapping", written)
        return {}
    found: dict[str, str] = {}
    for name, value in written.items():
        values = value if isinstance(value, list) else [value]
        if len(values) == 1 and isinstance(values[0], str | int | float | bool):
            found[str(name)] = str(values[0])
        else:
            message = f"`{name}` has several values or none, and a label of Governor has one"
            metadata.notes.note(NoteKind.OMITTED, (*metadata.path, key, name), message)
    return found


def _warn_of_mixture(root: NotedFields, spec: NotedFields) -> None:
    """Warn of fields that belong to another version than the document says it is of."""
    version = root.text("apiVersion")
    if version == V1ALPHA:
        strange = [key for key in _OF_LATER if key in spec]
        if isinstance(indicator := spec.value.get("indicator"), dict) and "spec" in indicator:
            strange.append("indicator")
        where = "openslo/v1"
    else:
        strange = [key for key in _OF_ALPHA if key in spec]
        objectives = spec.value.get("objectives")
        if isinstance(objectives, list) and any(
            isinstance(each, dict) and "ratioMetrics" in each for each in objectives
        ):
            strange.append("objectives")
        where = V1ALPHA
    for key in strange:
        field = "ratioMetrics" if key == "objectives" else key
        message = (
            f"`{field}` is written as in {where}, and the document says {version}; it is read all the same"
        )
        spec.note(NoteKind.WARNING, key, message)


def _method(spec: NotedFields) -> BudgetingMethod:
    written = spec.required_text("budgetingMethod")
    found = next((each for each in BudgetingMethod if each.casefold() == written.casefold()), None)
    if found is None:
        raise spec.unlike("budgetingMethod", "Occurrences, Timeslices or RatioTimeslices", written)
    return found


def _refuse_composite(objectives: Sequence[NotedFields]) -> None:
    for objective in objectives:
        for key in ("indicator", "indicatorRef", "sli", "sliRef", "compositeWeight"):
            if key in objective:
                message = (
                    f"it is a composite SLO (`{key}` stands in an objective), which Governor does not have: "
                    "a service is judged by the worst of its SLOs, so make one of each objective"
                )
                raise objective.refusal(key, message, is_unsupported=True)


def _indicator(
    root: NotedFields, objective: NotedFields, method: BudgetingMethod, objects: OpenSloObjects, source: str
) -> Indicator:
    if "ratioMetrics" in objective:
        return ratio_indicator(objective.required_mapping("ratioMetrics"), objective, method, objects, source)
    metadata, sli = root.required_mapping("metadata"), _sli(root.required_mapping("spec"), objects)
    sli.ignore("description")
    own = own_sli(metadata, sli, objective, method)
    if own is not None:
        return Indicator(own[0], source_type=own[1])
    ratio, threshold = sli.mapping("ratioMetric"), sli.mapping("thresholdMetric")
    if ratio is not None and threshold is not None:
        raise sli.refusal("thresholdMetric", "`ratioMetric` and `thresholdMetric` exclude each other")
    if ratio is not None:
        return ratio_indicator(ratio, objective, method, objects, source)
    if threshold is not None:
        return threshold_indicator(threshold, objective, method, objects, source)
    raise sli.refusal(None, f"{sli.where()} has neither `ratioMetric` nor `thresholdMetric`")


def _sli(spec: NotedFields, objects: OpenSloObjects) -> NotedFields:
    """Return the fields of the indicator, inline or referred to."""
    for key in ("indicatorRef", "sliRef"):
        if key in spec:
            name = spec.required_text(key)
            found = objects.find("SLI", name)
            if found is None:
                raise spec.refusal(key, f"the SLI `{name}` is not among the documents")
            return found.required_mapping("spec")
    for key in ("indicator", "sli"):
        inline = spec.mapping(key)
        if inline is not None:
            inline.ignore("metadata")
            return inline.required_mapping("spec") if "spec" in inline else inline
    raise spec.refusal(None, "the SLO has no indicator: neither `indicator` nor `indicatorRef`")


def _target(objective: NotedFields) -> str:
    """Return the objective in percent."""
    if "target" in objective and "targetPercent" in objective:
        raise objective.refusal("targetPercent", "`target` and `targetPercent` exclude each other")
    is_percent = "targetPercent" in objective
    return percent(objective, "targetPercent" if is_percent else "target", is_percent=is_percent)


def _names(name: str, objectives: Sequence[NotedFields]) -> list[str]:
    """Return the name of each objective's SLO: the document's for a single one, else with what tells it."""
    if len(objectives) == 1:
        return [name]
    told = [text if isinstance(text := each.value.get("displayName"), str) else "" for each in objectives]
    endings = [name_of(text)[:_ENDING_AT_MOST].strip("-") for text in told]
    shown = [
        ending if ending and endings.count(ending) == 1 else f"objective-{index}"
        for index, ending in enumerate(endings, 1)
    ]
    return [f"{name[: NAME_AT_MOST - 1 - len(each)]}-{each}" for each in shown]
