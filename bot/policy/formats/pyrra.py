"""SLO documents of Pyrra: `pyrra.dev/v1alpha1`, `ServiceLevelObjective`. Pure.

The keys are those of its own types; what it refuses is refused.
https://github.com/pyrra-dev/pyrra/blob/main/kubernetes/api/v1alpha1/servicelevelobjective_types.go
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bot.formatting import duration_code
from bot.policy.faults import quoted
from bot.policy.formats.document_fields import Fields, InvalidFieldError, KubernetesMetadata
from bot.policy.formats.field_values import NoBudgetError, objective, prometheus_duration, window
from bot.policy.formats.queries import QueryError, ReadSli, plain_selector, selector_sli, selector_text
from bot.policy.formats.reading import ForeignDocument, KeyPath, Note, NoteKind, Reading, ReadSlo

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
    except NoBudgetError as error:
        return Reading(document, title, refusal=error.message, refused_at=error.path, is_unsupported=True)
    except InvalidFieldError as error:
        return Reading(document, title, refusal=error.message, refused_at=error.path)


class _Objective:
    def __init__(self, document: ForeignDocument, source: str) -> None:
        self._document = document
        self._source = source
        self._notes: list[Note] = []

    def reading(self, title: str) -> Reading:
        """Return what becomes of the document; raises `InvalidFieldError`."""
        value = self._document.value
        if value.get("apiVersion") != _API_VERSION:
            message = f"this is not a version of Pyrra's, which is {_API_VERSION}"
            raise InvalidFieldError(("apiVersion",), message)
        if value.get("kind") != _KIND:
            raise InvalidFieldError(("kind",), f"the kind of Pyrra's documents is {_KIND}")
        fields = Fields(value)
        metadata = KubernetesMetadata(fields)
        spec = fields.inner("spec")
        if spec is None:
            raise InvalidFieldError((), "`spec` is missing")
        target, notes = objective(spec.required("target"), spec.at("target"))
        length, window_notes = window(spec.required("window"), spec.at("window"))
        self._notes += [*notes, *window_notes]
        sli, grouping = self._indicator(spec)
        for_each = grouping if all(grouping) else ()
        self._note_rules(spec)
        self._notes += [
            Note(NoteKind.WARNING, path, f"Pyrra has no key {quoted(str(path[-1]))} here")
            for path in fields.unread()
        ]
        self._note_annotations(metadata.annotations)
        labels = {key.removeprefix(_PREFIX): text for key, text in metadata.labels.items()}
        slo = ReadSlo(
            self._service(metadata.name, labels),
            {"name": metadata.name, "objective": target, "window": length, "sli": {self._source: sli.spec}},
            description=(spec.text("description") or "").strip(),
            labels=labels,
            annotations=metadata.annotations,
            for_each=for_each,
        )
        return Reading(self._document, title, (slo,), tuple(self._notes))

    def _service(self, name: str, labels: Mapping[str, str]) -> str:
        return next((labels[key] for key in _SERVICE_LABELS if labels.get(key)), name)

    def _indicator(self, spec: Fields) -> tuple[ReadSli, tuple[str, ...]]:
        spec.skip("description")
        indicator = spec.inner("indicator")
        readers: dict[str, Callable[[Fields], ReadSli]] = {
            "ratio": _ratio,
            "latency": self._latency,
            "latencyNative": _native_latency,
            "bool_gauge": _bool_gauge,
        }
        forms = [key for key in readers if indicator is not None and indicator.has(key)]
        if indicator is None or not forms:
            message = "there must be one of `ratio`, `latency`, `latencyNative` and `bool_gauge`"
            raise InvalidFieldError(spec.at("indicator"), message)
        if len(forms) > 1:
            raise InvalidFieldError(indicator.at(forms[1]), f"`{forms[1]}` does not go with `{forms[0]}`")
        fields = indicator.inner(forms[0])
        assert fields is not None  # noqa: S101 - it has a value, as was just asked
        try:
            sli = readers[forms[0]](fields)
        except QueryError as error:
            raise InvalidFieldError(fields.path, str(error)) from error
        self._notes += [Note(NoteKind.CHANGED, fields.path, message) for message in sli.changes]
        self._notes += [Note(NoteKind.WARNING, fields.path, message) for message in sli.warnings]
        return sli, fields.words("grouping")

    def _latency(self, fields: Fields) -> ReadSli:
        good, total = _metric(fields, "success"), _metric(fields, "total")
        selector = plain_selector(good)
        bounds = [each.value for each in selector.matchers.matchers if each.name == _LE]
        if not bounds or not _is_number(bounds[0]):
            message = 'the successes must be one bucket of the histogram, such as le="0.5"'
            raise InvalidFieldError((*fields.at("success"), "metric"), message)
        return selector_sli(total, good=good)

    def _note_rules(self, spec: Fields) -> None:
        for key in ("performanceOverAccuracy", "partial_response_strategy", "ruleOutput"):
            if spec.has(key):
                spec.skip(key)
                self._note(NoteKind.CHANGED, spec.at(key), _ONLY_RULES)
        alerting = spec.inner("alerting")
        if alerting is None:
            return
        is_silent = alerting.flag("disabled") or not alerting.flag("burnrates", default=True)
        if is_silent:
            message = "Pyrra is told to raise no burn alerts; those of the ErrorBudgetPolicy are raised"
            self._note(NoteKind.OMITTED, alerting.path, message)
        if alerting.has("absent"):
            verb = "raises" if alerting.flag("absent") else "does not raise"
            message = f"Pyrra {verb} an alert when the metric is gone; see `onMissingData` of the policy"
            self._note(NoteKind.OMITTED, alerting.at("absent"), message)
        alerting.skip("disabled", "burnrates")
        for key in ("disabled", "burnrates"):
            if alerting.has(key) and not is_silent:
                message = "burn alerts are those of the ErrorBudgetPolicy"
                self._note(NoteKind.CHANGED, alerting.at(key), message)
        for key in ("name", "absentName", "severities"):
            if alerting.has(key):
                alerting.skip(key)
                message = f"`{key}` is of Pyrra's alerts; burn alerts are those of the ErrorBudgetPolicy"
                self._note(NoteKind.OMITTED, alerting.at(key), message)

    def _note_annotations(self, annotations: Mapping[str, str]) -> None:
        for key in annotations:
            if key.startswith(_PREFIX):
                message = f"{quoted(key.removeprefix(_PREFIX))} is an annotation of Pyrra's alerts"
                self._note(NoteKind.OMITTED, ("metadata", "annotations", key), message)

    def _note(self, kind: NoteKind, path: KeyPath, message: str) -> None:
        self._notes.append(Note(kind, path, message))


def _metric(fields: Fields, key: str) -> str:
    inner = fields.inner(key)
    if inner is None:
        raise InvalidFieldError(fields.path, f"`{key}` is missing")
    return inner.required("metric")


def _ratio(fields: Fields) -> ReadSli:
    return selector_sli(_metric(fields, "total"), bad=_metric(fields, "errors"))


def _native_latency(fields: Fields) -> ReadSli:
    selector = plain_selector(_metric(fields, "total"))
    threshold = prometheus_duration(fields.required("latency"), fields.at("latency"))
    if not selector.name:
        raise InvalidFieldError(fields.path, "the histogram has no name")
    match = selector_text(selector).removeprefix(selector.name).strip("{}")
    return ReadSli(
        {
            "histogram": selector.name,
            **({"match": match} if match else {}),
            "threshold": duration_code(threshold),
            "native": True,
        }
    )


def _bool_gauge(fields: Fields) -> ReadSli:
    return ReadSli({"gauge": selector_text(plain_selector(fields.required("metric"))), "goodWhen": "== 1"})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
