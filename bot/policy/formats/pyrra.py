"""SLO documents of Pyrra: `pyrra.dev/v1alpha1`, `ServiceLevelObjective`. Pure.

The keys are those of its own types; what it refuses is refused.
https://github.com/pyrra-dev/pyrra/blob/main/kubernetes/api/v1alpha1/servicelevelobjective_types.go
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bot.formatting import duration_code
from bot.policy.faults import quoted
from bot.policy.formats.kubernetes import metadata_of
from bot.policy.formats.noted_fields import DocumentNotes, NotedFields, RefusedDocumentError
from bot.policy.formats.queries import QueryError, ReadSli, plain_selector, selector_sli, selector_text
from bot.policy.formats.reading import ForeignDocument, KeyPath, NoteKind, Reading, ReadSlo
from bot.policy.formats.values import objective, prometheus_duration, window

GROUP: Final = "pyrra.dev"
_API_VERSION = f"{GROUP}/v1alpha1"
_KIND = "ServiceLevelObjective"
_PREFIX = f"{GROUP}/"
"""Labels that Pyrra writes on its rules and alerts begin with it."""
_SERVICE_LABELS = ("service", "app.kubernetes.io/name")
"""The labels that may name the service, the first with Pyrra's prefix or without."""
_LE = "le"
_ONLY_RULES = "it says how Pyrra computes and keeps its rules; Governor needs none"


class PyrraReader:
    """Reads the documents of Pyrra."""

    name = "Pyrra"

    def recognizes(self, value: Mapping[str, Any]) -> bool:
        """Return whether a document is of Pyrra, valid or not."""
        version = value.get("apiVersion")
        return isinstance(version, str) and version.partition("/")[0] == GROUP

    def read(self, documents: Sequence[ForeignDocument], source: str) -> Sequence[Reading]:
        """Return what becomes of documents of Pyrra, each by itself."""
        return [_read(document, source) for document in documents]


def _read(document: ForeignDocument, source: str) -> Reading:
    metadata = document.value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    title = f"{_KIND}/{name}" if isinstance(name, str) else _KIND
    try:
        return _Objective(document, source).reading(title)
    except RefusedDocumentError as error:
        return Reading(
            document,
            title,
            refusal=error.message,
            refused_at=error.path,
            is_unsupported=error.is_unsupported,
        )


class _Objective:
    def __init__(self, document: ForeignDocument, source: str) -> None:
        self._document = document
        self._source = source
        self._notes = DocumentNotes(document)

    def reading(self, title: str) -> Reading:
        """Return what becomes of the document; raises `RefusedDocumentError`."""
        value = self._document.value
        if value.get("apiVersion") != _API_VERSION:
            message = f"this is not a version of Pyrra's, which is {_API_VERSION}"
            raise RefusedDocumentError(message, ("apiVersion",))
        if value.get("kind") != _KIND:
            raise RefusedDocumentError(f"the kind of Pyrra's documents is {_KIND}", ("kind",))
        fields = self._notes.root
        metadata = metadata_of(fields)
        spec = fields.required_mapping("spec")
        target, notes = objective(spec.required_spelled("target"), spec.at("target"))
        length, window_notes = window(spec.required_spelled("window"), spec.at("window"))
        self._notes.notes += [*notes, *window_notes]
        sli, grouping = self._indicator(spec)
        self._note_rules(spec)
        for path in self._notes.unread_keys():
            self._note(NoteKind.WARNING, path, f"Pyrra has no key {quoted(str(path[-1]))} here")
        self._note_annotations(metadata.annotations)
        labels = {key.removeprefix(_PREFIX): text for key, text in metadata.labels.items()}
        slo = ReadSlo(
            self._service(metadata.name, labels),
            {"name": metadata.name, "objective": target, "window": length, "sli": {self._source: sli.spec}},
            description=(spec.spelled("description") or "").strip(),
            labels=labels,
            annotations=metadata.annotations,
            for_each=tuple(filter(None, grouping)),
        )
        return Reading(self._document, title, (slo,), tuple(self._notes.notes))

    def _service(self, name: str, labels: Mapping[str, str]) -> str:
        return next((labels[key] for key in _SERVICE_LABELS if labels.get(key)), name)

    def _indicator(self, spec: NotedFields) -> tuple[ReadSli, tuple[str, ...]]:
        spec.ignore("description")
        indicator = spec.mapping("indicator")
        readers: dict[str, Callable[[NotedFields], ReadSli]] = {
            "ratio": _ratio,
            "latency": _latency,
            "latencyNative": _native_latency,
            "bool_gauge": _bool_gauge,
        }
        forms = [key for key in readers if indicator is not None and key in indicator]
        if indicator is None or not forms:
            message = "there must be one of `ratio`, `latency`, `latencyNative` and `bool_gauge`"
            raise RefusedDocumentError(message, spec.at("indicator"))
        if len(forms) > 1:
            raise RefusedDocumentError(f"`{forms[1]}` does not go with `{forms[0]}`", indicator.at(forms[1]))
        fields = indicator.required_mapping(forms[0])
        try:
            sli = readers[forms[0]](fields)
        except QueryError as error:
            raise RefusedDocumentError(str(error), fields.path) from error
        for message in sli.changes:
            self._note(NoteKind.CHANGED, fields.path, message)
        for message in sli.warnings:
            self._note(NoteKind.WARNING, fields.path, message)
        return sli, fields.words("grouping")

    def _note_rules(self, spec: NotedFields) -> None:
        for key in ("performanceOverAccuracy", "partial_response_strategy", "ruleOutput"):
            if key in spec:
                spec.ignore(key)
                self._note(NoteKind.CHANGED, spec.at(key), _ONLY_RULES)
        alerting = spec.mapping("alerting")
        if alerting is None:
            return
        is_silent = alerting.flag("disabled") or alerting.flag("burnrates") is False
        if is_silent:
            message = "Pyrra is told to raise no burn alerts; those of the ErrorBudgetPolicy are raised"
            self._note(NoteKind.OMITTED, alerting.path, message)
        if "absent" in alerting:
            verb = "raises" if alerting.flag("absent") else "does not raise"
            message = f"Pyrra {verb} an alert when the metric is gone; see `onMissingData` of the policy"
            self._note(NoteKind.OMITTED, alerting.at("absent"), message)
        alerting.ignore("disabled", "burnrates")
        for key in ("disabled", "burnrates"):
            if key in alerting and not is_silent:
                message = "burn alerts are those of the ErrorBudgetPolicy"
                self._note(NoteKind.CHANGED, alerting.at(key), message)
        for key in ("name", "absentName", "severities"):
            if key in alerting:
                alerting.ignore(key)
                message = f"`{key}` is of Pyrra's alerts; burn alerts are those of the ErrorBudgetPolicy"
                self._note(NoteKind.OMITTED, alerting.at(key), message)

    def _note_annotations(self, annotations: Mapping[str, str]) -> None:
        for key in annotations:
            if key.startswith(_PREFIX):
                message = f"{quoted(key.removeprefix(_PREFIX))} is an annotation of Pyrra's alerts"
                self._note(NoteKind.OMITTED, ("metadata", "annotations", key), message)

    def _note(self, kind: NoteKind, path: KeyPath, message: str) -> None:
        self._notes.note(kind, path, message)


def _metric(fields: NotedFields, key: str) -> str:
    return fields.required_mapping(key).required_spelled("metric")


def _ratio(fields: NotedFields) -> ReadSli:
    return selector_sli(_metric(fields, "total"), bad=_metric(fields, "errors"))


def _latency(fields: NotedFields) -> ReadSli:
    good, total = _metric(fields, "success"), _metric(fields, "total")
    selector = plain_selector(good)
    bounds = [each.value for each in selector.matchers.matchers if each.name == _LE]
    if not bounds or not _is_number(bounds[0]):
        message = 'the successes must be one bucket of the histogram, such as le="0.5"'
        raise RefusedDocumentError(message, (*fields.at("success"), "metric"))
    return selector_sli(total, good=good)


def _native_latency(fields: NotedFields) -> ReadSli:
    selector = plain_selector(_metric(fields, "total"))
    threshold = prometheus_duration(fields.required_spelled("latency"), fields.at("latency"))
    if not selector.name:
        raise RefusedDocumentError("the histogram has no name", fields.path)
    match = selector_text(selector).removeprefix(selector.name).strip("{}")
    return ReadSli(
        {
            "histogram": selector.name,
            **({"match": match} if match else {}),
            "threshold": duration_code(threshold),
            "native": True,
        }
    )


def _bool_gauge(fields: NotedFields) -> ReadSli:
    gauge = plain_selector(fields.required_spelled("metric"))
    return ReadSli({"gauge": selector_text(gauge), "goodWhen": "== 1"})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
