"""Reads Google's slo-generator: its SLOs (`sre.google.com/v2`) and the configuration that they share. Pure.

An SLO of slo-generator has no window of its own: an error budget policy has several, each with a burn rate.
The longest becomes the window of the SLO.
"""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from promql_parser import VectorSelector

from bot.formatting import duration_code
from bot.policy.documents.promql_shapes import parse_promql
from bot.policy.faults import InvalidValueError
from bot.policy.formats.counted_queries import counted_sli
from bot.policy.formats.noted_fields import DocumentNotes, NotedFields, RefusedDocumentError
from bot.policy.formats.objectives import burn_alert_line, percent, plain
from bot.policy.formats.queries import QueryError, ReadSli, events_sli, ratio_sli, selector_text
from bot.policy.formats.reading import ForeignDocument, NoteKind, Reading, ReadSlo
from bot.policy.formats.values import name_of
from bot.policy.yaml.substitution import substitute

_VERSION: Final = "sre.google.com/v2"
_KIND: Final = "ServiceLevelObjective"
_SHARED: Final = frozenset({"backends", "exporters", "error_budget_policies", "default_exporters"})
_OF_VERSION_1: Final = frozenset({"service_name", "feature_name", "slo_name", "slo_target", "backend"})
_USUAL_POLICY: Final = "default"
_LONGEST_WINDOW: Final = timedelta(days=400)
_USUAL_OPERATORS: Final = ("increase", "sum")
_UNKNOWN: Final = "is not a field that Governor knows of slo-generator"
_BACKENDS: Final = {
    "cloud_monitoring": "Google Cloud Monitoring (filters)",
    "cloud_monitoring_mql": "Google Cloud Monitoring (MQL)",
    "cloud_service_monitoring": "Google Cloud's own SLOs",
    "dynatrace": "Dynatrace",
    "elasticsearch": "Elasticsearch",
    "open_search": "OpenSearch",
    "splunk": "Splunk",
}


class SloGeneratorReader:
    """Reads documents of slo-generator; `environ` has the values of `${NAME}` in them.

    They are those of the process unless given.
    """

    name = "slo-generator"

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def recognizes(self, value: Mapping[str, Any]) -> bool:
        """Return whether a document is an SLO of slo-generator, or a configuration that SLOs share."""
        version = value.get("apiVersion")
        if isinstance(version, str):
            return version.startswith("sre.google.com/")
        keys = {key for key in value if isinstance(key, str)}
        return version is None and "kind" not in keys and (_is_shared(keys) or _is_old(keys))

    def read(self, documents: Sequence[ForeignDocument], source: str) -> Sequence[Reading]:
        """Return what becomes of documents that it recognizes; SLOs refer to a shared configuration."""
        all_notes = [DocumentNotes(document) for document in documents]
        shared = [each for each in all_notes if _is_shared({str(key) for key in each.document.value})]
        slos: dict[int, ReadSlo | RefusedDocumentError] = {}
        for notes in all_notes:
            if notes not in shared:
                try:
                    slos[id(notes)] = self._slo(notes, shared, source)
                except RefusedDocumentError as error:
                    slos[id(notes)] = error
        # Policies are read by the SLOs that name them, so that the configurations come last.
        return [_finished(notes, slos.get(id(notes))) for notes in all_notes]

    def _slo(self, notes: DocumentNotes, shared: Sequence[DocumentNotes], source: str) -> ReadSlo:
        root = notes.root
        _check_version(root)
        metadata, spec = root.required_mapping("metadata"), root.required_mapping("spec")
        # What cannot be measured at all is the first thing to know.
        backend = _backend(spec)
        metadata.ignore("name")
        service, name, labels = _names(metadata)
        spec.ignore("description", "exporters")
        if backend == "prometheus":
            sli = self._sli(spec)
        else:
            sli, source = self._datadog(spec), name_of(spec.value["backend"])
        objective = percent(spec, "goal")
        window = _window(spec, shared)
        named = {"window": window} if window is not None else {}
        slo = {"name": name, "objective": objective, **named, "sli": {source: sli.spec}}
        annotations = metadata.take("annotations")
        texts = annotations if isinstance(annotations, dict) else {}
        return ReadSlo(
            service=service,
            slo=slo,
            labels=labels,
            annotations={str(key): str(value) for key, value in texts.items()},
            for_each=sli.by,
            source_type=backend,
            path=("spec",),
        )

    def _sli(self, spec: NotedFields) -> ReadSli:
        method, indicator = spec.required_text("method"), spec.required_mapping("service_level_indicator")
        try:
            match method:
                case "good_bad_ratio":
                    read = self._good_bad_ratio(indicator)
                case "query_sli":
                    query = _windowed(self._text(indicator, "expression"))
                    read = ratio_sli(query, is_good=True)
                case "distribution_cut":
                    read = self._distribution_cut(indicator)
                case _:
                    message = f"the Prometheus backend of slo-generator has no method `{method}`"
                    raise spec.refusal("method", message)
        except QueryError as error:
            raise indicator.refusal(None, str(error)) from error
        for change in read.changes:
            indicator.note(NoteKind.CHANGED, None, change)
        for warning in read.warnings:
            indicator.note(NoteKind.WARNING, None, warning)
        return read

    def _datadog(self, spec: NotedFields) -> ReadSli:
        """Return the SLI of the backend `datadog`."""
        method, indicator = spec.required_text("method"), spec.required_mapping("service_level_indicator")
        match method:
            case "good_bad_ratio":
                found = self._datadog_counts(indicator)
            case "query_sli":
                found = _quotient(indicator, self._text(indicator, "query"))
            case "query_slo":
                found = {"slo": self._text(indicator, "slo_id")}
            case _:
                message = f"the Datadog backend of slo-generator has no method `{method}`"
                raise spec.refusal("method", message)
        try:
            return ReadSli(counted_sli("datadog", found))
        except QueryError as error:
            raise indicator.refusal(None, str(error), is_unsupported=True) from error

    def _datadog_counts(self, indicator: NotedFields) -> dict[str, str]:
        before, after = indicator.text("operator"), indicator.text("operator_suffix")
        asked = {
            key: f"{before or 'sum'}:{self._text(indicator, key)}.{after or 'as_count()'}"
            for key in ("query_good", "query_bad", "query_valid")
            if key in indicator
        }
        good, bad, valid = (asked.get(f"query_{key}") for key in ("good", "bad", "valid"))
        if good is None or (bad is None and valid is None):
            raise indicator.refusal(
                None, f"{indicator.where()} needs `query_good`, and `query_valid` or `query_bad`"
            )
        if bad is not None and valid is not None:
            message = "it has both `query_bad` and `query_valid`, and slo-generator takes one for the other"
            raise indicator.refusal("query_bad", message)
        return (
            {"total": f"{good} + {bad}", "bad": bad}
            if bad is not None
            else {"total": valid or "", "good": good}
        )

    def _good_bad_ratio(self, indicator: NotedFields) -> ReadSli:
        operators = indicator.take("operators")
        if operators is None:
            operators = list(_USUAL_OPERATORS)
        if not isinstance(operators, list) or not all(isinstance(each, str) for each in operators):
            raise indicator.unlike("operators", "a list of functions of PromQL", operators)
        asked = {
            key: _with_operators(_windowed(self._text(indicator, key)), operators)
            for key in ("filter_good", "filter_bad", "filter_valid")
            if key in indicator
        }
        good, bad, valid = (asked.get(f"filter_{key}") for key in ("good", "bad", "valid"))
        if good is None:
            raise indicator.refusal(None, f"{indicator.where('filter_good')} is missing")
        if bad is not None:
            if valid is not None:
                message = "`filter_bad` comes first in slo-generator; `filter_valid` is passed over"
                indicator.note(NoteKind.OMITTED, "filter_valid", message)
            return events_sli(f"({good}) + ({bad})", bad=bad)
        if valid is None:
            raise indicator.refusal(None, f"{indicator.where()} needs `filter_valid` or `filter_bad`")
        return events_sli(valid, good=good)

    def _distribution_cut(self, indicator: NotedFields) -> ReadSli:
        expression, bound = self._text(indicator, "expression"), indicator.number("threshold_bucket")
        if bound is None:
            raise indicator.refusal(None, f"{indicator.where('threshold_bucket')} is missing")
        try:
            bucket = parse_promql(expression)
        except ValueError as error:
            raise QueryError(f"Prometheus does not read `expression` ({error})") from None
        if not isinstance(bucket, VectorSelector) or not (bucket.name or "").endswith("_bucket"):
            raise QueryError("`expression` is not a selector of a histogram's buckets (`…_bucket`)")
        matchers = re.sub(r"^[^{]*\{?|\}$", "", selector_text(bucket))
        written = re.sub(r"^[^{]*\{?|\}$", "", selector_text(bucket, without="le"))
        if matchers != written:
            raise QueryError("`expression` selects by `le` already, which `threshold_bucket` is for")
        base = (bucket.name or "").removesuffix("_bucket")
        with_bound = ",".join(filter(None, [matchers, f'le="{plain(bound)}"']))
        chosen = f"{base}_bucket{{{with_bound}}}"
        whole = f"{base}_count{{{matchers}}}" if matchers else f"{base}_count"
        good, total = (_with_operators(f"{each}[window]", _USUAL_OPERATORS) for each in (chosen, whole))
        return events_sli(total, good=good)

    def _text(self, fields: NotedFields, key: str) -> str:
        """Return a text with what it takes from the environment."""
        try:
            return " ".join(substitute(fields.required_text(key), self._environ).split())
        except InvalidValueError as error:
            message = f"{fields.where(key)}: {error.message}"
            raise fields.refusal(key, message) from error


def _is_shared(keys: set[str]) -> bool:
    return "apiVersion" not in keys and bool(keys & {"backends", "error_budget_policies"}) and keys <= _SHARED


def _is_old(keys: set[str]) -> bool:
    return len(keys & _OF_VERSION_1) >= 3


def _check_version(root: NotedFields) -> None:
    version, kind = root.text("apiVersion"), root.text("kind")
    if version != _VERSION:
        written = f"`{version}`" if version else "version 1, without `apiVersion`"
        message = f"it is of {written}; `slo-generator migrate` makes {_VERSION} of it, which Governor reads"
        raise root.refusal("apiVersion" if version else None, message, is_unsupported=True)
    if kind != _KIND:
        raise root.refusal("kind", f"`kind` must be {_KIND}, not `{kind}`")


def _backend(spec: NotedFields) -> str:
    """Return the kind of a backend that Governor has a source for."""
    backend = spec.required_text("backend")
    kind = backend.partition("/")[0]
    if kind == "prometheus":
        if kind != backend:
            message = f"the backend `{backend}` is one of several; the numbers are asked of the one source"
            spec.note(NoteKind.CHANGED, "backend", message)
        return kind
    if kind == "datadog":
        return kind
    known = _BACKENDS.get(kind)
    what = known or (f"the backend `{kind}` of your own" if "." in kind else f"`{kind}`")
    message = f"its numbers are in {what}, and Governor has no source for that"
    raise spec.refusal("backend", message, is_unsupported=True)


def _names(metadata: NotedFields) -> tuple[str, str, dict[str, str]]:
    """Return the service, the SLO's name, and the labels without those that name the SLO."""
    labels = metadata.required_mapping("labels")
    service, feature, name = (
        labels.required_text(key) for key in ("service_name", "feature_name", "slo_name")
    )
    labels.ignore(*labels.value)
    texts = {
        key: str(value)
        for key, value in labels.value.items()
        if key not in {"feature_name", "slo_name"} and not isinstance(value, dict | list)
    }
    return service, f"{feature}-{name}", texts


def _quotient(indicator: NotedFields, query: str) -> dict[str, str]:
    """Return the counts of a query that divides one by another; a `/` in braces divides nothing."""
    parts = [""]
    for part in re.findall(r"\{[^}]*\}|.", query):
        if part == "/":
            parts.append("")
        else:
            parts[-1] += part
    if len(parts) != 2:
        message = "the query is not one count divided by another, and Governor counts events of Datadog"
        raise indicator.refusal("query", message, is_unsupported=True)
    return {"total": parts[1].strip(), "good": parts[0].strip()}


def _windowed(query: str) -> str:
    """Return a query with the placeholder for its window, which slo-generator puts at its end if need be."""
    return query if "[window" in query else f"{query}[window]"


def _with_operators(query: str, operators: Sequence[str]) -> str:
    for operator in operators:
        query = f"{operator}({query})"
    return query


def _window(spec: NotedFields, shared: Sequence[DocumentNotes]) -> str | None:
    """Return the longest window of the SLO's error budget policy; its steps are noted."""
    name = spec.text("error_budget_policy") or _USUAL_POLICY
    steps = next((found for each in shared if (found := _steps(each, name))), None)
    if steps is None:
        message = f"the error budget policy `{name}`, which holds the window, is not among the documents"
        spec.note(NoteKind.OMITTED, "error_budget_policy", message)
        return None
    lines, windows = [], []
    for step in steps:
        step.ignore("name", "message_alert", "message_ok")
        seconds, burn = step.number("window"), step.number("burn_rate_threshold")
        if seconds is None or not 0 < seconds <= _LONGEST_WINDOW.total_seconds() or seconds % 1:
            raise step.unlike("window", "a number of seconds, at most 400 days", step.value.get("window"))
        windows.append(timedelta(seconds=int(seconds)))
        severity = "page" if step.flag("alert") else "ticket"
        if burn is not None and burn > 0:
            lines.append(burn_alert_line(severity, burn, windows[-1], None))
    longest = max(windows)
    code = duration_code(longest)
    message = f"the longest window of the error budget policy `{name}` is the SLO's: {code}"
    spec.note(NoteKind.CHANGED, "error_budget_policy", message)
    if lines:
        message = (
            f"its steps; an ErrorBudgetPolicy of Governor says them as `burnAlerts: [{', '.join(lines)}]`"
        )
        spec.note(NoteKind.OMITTED, "error_budget_policy", message)
    return code


def _steps(shared: DocumentNotes, name: str) -> Sequence[NotedFields] | None:
    policies = shared.root.mapping("error_budget_policies")
    policy = policies.mapping(name) if policies is not None else None
    return policy.mappings("steps") if policy is not None else None


def _read_shared(notes: DocumentNotes) -> None:
    """Note what becomes of a shared configuration."""
    root = notes.root
    root.ignore("default_exporters", "exporters")
    backends = root.mapping("backends")
    for name in backends.value if backends is not None else ():
        if backends is None or not isinstance(name, str):
            continue
        settings = backends.take(name)
        if name.partition("/")[0] == "datadog":
            keys = 'apiKey: "${NAME}", applicationKey: "${NAME}"'
            lines = f"sources: {{{name_of(name)}: {{type: datadog, {keys}}}}}"
            message = f"how it is reached stands in the Workspace: `{lines}`"
            backends.note(NoteKind.OMITTED, name, message)
            continue
        if name.partition("/")[0] != "prometheus":
            backends.note(NoteKind.OMITTED, name, f"Governor has no source for the backend `{name}`")
            continue
        url = settings.get("url") if isinstance(settings, dict) else None
        lines = f"sources: {{prometheus: {{url: {url if isinstance(url, str) else '…'}}}}}"
        message = f"how it is reached stands in the Workspace: `{lines}`"
        backends.note(NoteKind.OMITTED, name, message)
    policies = root.mapping("error_budget_policies")
    unread = {path[:2] for path in notes.unread()} if policies is not None else set()
    for name in policies.value if policies is not None else ():
        if policies is not None and (*policies.path, name) in unread:
            policies.note(NoteKind.OMITTED, name, "no SLO that can be read names this error budget policy")
            policies.ignore(name)


def _finished(notes: DocumentNotes, found: ReadSlo | RefusedDocumentError | None) -> Reading:
    if isinstance(found, RefusedDocumentError):
        return _refused(notes, found)
    try:
        if found is None:
            _read_shared(notes)
    except RefusedDocumentError as error:
        return _refused(notes, error)
    notes.note_unread(_UNKNOWN)
    return Reading(notes.document, _title(notes), () if found is None else (found,), tuple(notes.notes))


def _refused(notes: DocumentNotes, error: RefusedDocumentError) -> Reading:
    return Reading(
        notes.document,
        _title(notes),
        notes=tuple(note for note in notes.notes if note.kind is NoteKind.WARNING),
        refusal=error.message,
        refused_at=error.path,
        is_unsupported=error.is_unsupported,
    )


def _title(notes: DocumentNotes) -> str:
    value = notes.document.value
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = value.get("kind")
    if not isinstance(kind, str):
        return "shared configuration" if _is_shared({str(key) for key in value}) else "SLO of version 1"
    return f"{kind} {name}" if isinstance(name, str) else kind
