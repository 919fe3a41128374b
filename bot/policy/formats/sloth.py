"""SLO documents of Sloth: `version: prometheus/v1`, and its kinds in Kubernetes, `sloth.slok.dev/v1`. Pure.

The keys are those of Sloth's own types. In Kubernetes they are written in camel case, otherwise with `_`; a
key in the other spelling is read all the same, with a warning, as Sloth itself passes over it.
https://github.com/slok/sloth/tree/main/pkg/prometheus/api/v1
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from bot.formatting import duration_code
from bot.policy.faults import quoted
from bot.policy.formats.kubernetes import metadata_of
from bot.policy.formats.noted_fields import DocumentNotes, NotedFields, RefusedDocumentError, as_number
from bot.policy.formats.objectives import burn_alert_line
from bot.policy.formats.queries import QueryError, ReadSli, events_sli, ratio_sli
from bot.policy.formats.reading import ForeignDocument, KeyPath, NoteKind, Reading, ReadSlo
from bot.policy.formats.values import objective, prometheus_duration

VERSION: Final = "prometheus/v1"
GROUP: Final = "sloth.slok.dev"
_API_VERSION = f"{GROUP}/v1"
_WINDOW = re.compile(r"\{\{-?\s*\.window\s*-?\}\}")
_OWN_ANNOTATION = "governor/"
_CHANNEL = re.compile(r"#[a-z0-9_-]{1,80}")
_OF_SLOTH_ITSELF = ("sloth.dev/core/", "sloth.dev/contrib/validate_")
"""Beginnings of the names of plug-ins that only check SLOs, or write what Sloth writes by itself."""
_PLUGIN = (
    "the plug-in {}, a program in Go, makes its SLI and cannot run here; "
    "`sloth generate` prints the queries that it stands for"
)
_POLICY_ALERTS = "burn alerts are those of the ErrorBudgetPolicy"


class SlothReader:
    """Reads the documents of Sloth."""

    name = "Sloth"

    def recognizes(self, value: Mapping[str, Any]) -> bool:
        """Return whether a document is of Sloth, valid or not."""
        version, api_version = value.get("version"), value.get("apiVersion")
        if isinstance(api_version, str) and api_version.partition("/")[0] == GROUP:
            return True
        is_like_it = "service" in value or "slos" in value
        return isinstance(version, str) and version.startswith("prometheus/") and is_like_it

    def read(self, documents: Sequence[ForeignDocument], source: str) -> Sequence[Reading]:
        """Return what becomes of documents of Sloth, each by itself."""
        return [_read(document, source) for document in documents]


def _read(document: ForeignDocument, source: str) -> Reading:
    notes, title = DocumentNotes(document), _title(document.value)
    try:
        if "apiVersion" not in document.value:
            return _of_file(notes, title, source)
        return _of_kubernetes(notes, title, source)
    except RefusedDocumentError as error:
        return Reading(document, title, refusal=error.message, refused_at=error.path)


def _title(value: Mapping[str, Any]) -> str:
    metadata, kind = value.get("metadata"), value.get("kind")
    if isinstance(kind, str):
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        return f"{kind}/{name}" if isinstance(name, str) else kind
    service = value.get("service")
    return f"service {service}" if isinstance(service, str) else "service"


def _of_file(notes: DocumentNotes, title: str, source: str) -> Reading:
    fields = notes.root
    if fields.spelled("version") != VERSION:
        raise RefusedDocumentError(f"Sloth's documents have the version {VERSION}", ("version",))
    return _Spec(fields, source, is_in_kubernetes=False).reading(title, {}, {})


def _of_kubernetes(notes: DocumentNotes, title: str, source: str) -> Reading:
    fields, kind = notes.root, notes.document.value.get("kind")
    if notes.document.value["apiVersion"] != _API_VERSION:
        message = f"this is not a version of Sloth's, which is {_API_VERSION}"
        raise RefusedDocumentError(message, ("apiVersion",))
    for key in ("version", "service", "slos"):
        if key in fields:
            message = f"`{key}` belongs in a document with `version: {VERSION}`; here it goes under `spec`"
            raise RefusedDocumentError(message, (key,))
    if kind == "AlertWindows":
        _note_windows(fields.required_mapping("spec"))
        return Reading(notes.document, title, notes=tuple(notes.notes))
    if kind != "PrometheusServiceLevel":
        message = "the kinds of Sloth are PrometheusServiceLevel and AlertWindows"
        raise RefusedDocumentError(message, ("kind",))
    metadata = metadata_of(fields)
    spec = _Spec(fields.required_mapping("spec"), source, is_in_kubernetes=True)
    return spec.reading(title, metadata.labels, metadata.annotations)


class _Spec:
    """The service and its SLOs, which both kinds of documents have."""

    def __init__(self, fields: NotedFields, source: str, *, is_in_kubernetes: bool) -> None:
        self._fields = fields
        self._source = source
        self._is_camel = is_in_kubernetes
        self._notes = fields.notes
        self._own: dict[str, str] = {}
        self._left_out: dict[KeyPath, str] = {}

    def reading(self, title: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Reading:
        """Return what becomes of the document that has these labels and annotations."""
        service = self._fields.required_spelled("service")
        labels = {**labels, **self._fields.texts("labels")}
        self._note_plugins(self._fields, "slo_plugins")
        found = [(fields, self._slo(fields)) for fields in self._fields.mappings("slos")]
        if not found:
            raise RefusedDocumentError("there is no SLO", self._fields.at("slos"))
        slos = tuple(
            ReadSlo(
                service,
                slo,
                description=(fields.spelled("description") or "").strip(),
                labels=labels,
                annotations={**self._own, **annotations},
                for_each=sli.by,
                path=fields.path,
            )
            for fields, read in found
            if read is not None
            for slo, sli in [read]
        )
        for path in self._notes.unread_keys():
            message = f"Sloth has no key {quoted(str(path[-1]))} here, and passes over it"
            self._note(NoteKind.WARNING, path, message)
        notes, document = tuple(self._notes.notes), self._notes.document
        if slos:
            return Reading(document, title, slos, notes)
        refusal = f"none of its SLOs can be read: {'; '.join(dict.fromkeys(self._left_out.values()))}"
        # What is left out is said already.
        notes = tuple(note for note in notes if note.path not in self._left_out)
        refused_at = next(iter(self._left_out))
        return Reading(document, title, (), notes, refusal, refused_at, is_unsupported=True)

    def _slo(self, fields: NotedFields) -> tuple[Mapping[str, Any], ReadSli] | None:
        """Return the SLO as the own format has it; None where it is left out, which a note says."""
        name = fields.required_spelled("name")
        fields.ignore("description")
        try:
            target, notes = objective(fields.required_spelled("objective"), fields.at("objective"))
            sli = self._sli(fields, name)
        except RefusedDocumentError as error:
            if not error.is_unsupported:
                raise
            fields.ignore("labels", "plugins", "sli", "alerting")
            self._left_out[fields.path] = error.message
            self._note(NoteKind.OMITTED, fields.path, f"the SLO {quoted(name)} is left out: {error.message}")
            return None
        self._notes.notes += notes
        if fields.texts("labels"):
            message = "an SLO has no labels of its own; its service has"
            self._note(NoteKind.OMITTED, fields.at("labels"), message)
        self._note_plugins(fields, "plugins")
        self._note_alerts(fields)
        for message in sli.changes:
            self._note(NoteKind.CHANGED, fields.at("sli"), message)
        for message in sli.warnings:
            self._note(NoteKind.WARNING, fields.at("sli"), message)
        return {"name": name, "objective": target, "sli": {self._source: sli.spec}}, sli

    def _sli(self, slo: NotedFields, name: str) -> ReadSli:
        fields = slo.mapping("sli")
        forms = [key for key in ("events", "raw", "plugin") if fields is not None and key in fields]
        if fields is None or not forms:
            raise RefusedDocumentError(f"the SLO {quoted(name)} has no SLI", slo.at("sli"))
        if len(forms) > 1:
            raise RefusedDocumentError(f"the SLO {quoted(name)} has more than one SLI", fields.at(forms[1]))
        form = fields.required_mapping(forms[0])
        if forms[0] == "plugin":
            form.ignore("options")
            message = _PLUGIN.format(quoted(form.required_spelled("id")))
            raise RefusedDocumentError(message, form.path, is_unsupported=True)
        try:
            if forms[0] == "raw":
                return ratio_sli(self._query(form, "error_ratio_query"))
            bad, total = self._query(form, "error_query"), self._query(form, "total_query")
            if bad == total:
                raise RefusedDocumentError("the bad events and all events are the same query", form.path)
            return events_sli(total, bad=bad)
        except QueryError as error:
            raise RefusedDocumentError(str(error), form.path) from error

    def _query(self, fields: NotedFields, key: str) -> str:
        spelled = self._spelled(fields, key)
        query = fields.required_spelled(spelled)
        if not _WINDOW.search(query):
            raise RefusedDocumentError(f"`{spelled}` has no {{{{.window}}}}", fields.at(spelled))
        return query

    def _spelled(self, fields: NotedFields, key: str) -> str:
        """Return a key as the document spells it, which is noted where Sloth spells it otherwise."""
        camel = _camel_case(key)
        right, other = (camel, key) if self._is_camel else (key, camel)
        if right == other or right in fields or other not in fields:
            return right
        where = "Kubernetes drops it" if self._is_camel else "Sloth passes over it"
        message = f"`{other}` is written `{right}` in a document of this kind, and {where}; it is read here"
        self._note(NoteKind.WARNING, fields.at(other), message)
        return other

    def _note_plugins(self, fields: NotedFields, key: str) -> None:
        plugins = fields.mapping(self._spelled(fields, key))
        if plugins is None:
            return
        plugins.flag("overridePrevious")
        chain = plugins.mappings("chain")
        for each in chain:
            each.ignore("config", "priority")
        others = [
            name for each in chain if not (name := each.required_spelled("id")).startswith(_OF_SLOTH_ITSELF)
        ]
        if others:
            names = ", ".join(map(quoted, dict.fromkeys(others)))
            word = "plug-ins are" if len(set(others)) > 1 else "plug-in is"
            self._note(NoteKind.OMITTED, plugins.path, f"the SLO {word} not run: {names}")
        else:
            message = "these plug-ins check SLOs and write Sloth's rules; Governor needs none of them"
            self._note(NoteKind.CHANGED, plugins.path, message)

    def _note_alerts(self, slo: NotedFields) -> None:
        alerting = slo.mapping("alerting")
        if alerting is None:
            return
        name = alerting.spelled("name")
        texts = {key: dict(alerting.texts(key)) for key in ("labels", "annotations")}
        silent = []
        for level in ("page_alert", "ticket_alert"):
            alert = alerting.mapping(self._spelled(alerting, level))
            if alert is None:
                continue
            if alert.flag("disable"):
                silent.append(alert.path)
            for key in texts:
                texts[key] |= alert.texts(key)
        self._note_alert_texts(alerting.path, name, texts)
        if not name and len(silent) < 2:
            message = "Sloth refuses alerts without a `name`; Governor needs none"
            self._note(NoteKind.WARNING, alerting.path, message)
        if len(silent) > 1:
            silent = [alerting.path]
        for path in silent:
            which = "no alerts" if path == alerting.path else "no such alert"
            self._note(NoteKind.OMITTED, path, f"Sloth is told to raise {which}; {_POLICY_ALERTS}")

    def _note_alert_texts(
        self, path: KeyPath, name: str | None, texts: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Note what is said of alerts; annotations of Governor's own are kept."""
        parts = [f"the name {quoted(name)}"] if name else []
        channels: list[str] = []
        for key, values in texts.items():
            own = {each: text for each, text in values.items() if each.startswith(_OWN_ANNOTATION)}
            self._own |= own
            others = [each for each in values if each not in own]
            if others:
                parts.append(f"the {key} {', '.join(map(quoted, others))}")
            channels += [values[each] for each in others if _CHANNEL.fullmatch(values[each])]
        if len(parts) == bool(name):
            if name:
                message = f"the alerts {quoted(name)} are not raised; {_POLICY_ALERTS}"
                self._note(NoteKind.CHANGED, (*path, "name"), message)
            return
        hint = f"; the channel may be {quoted(channels[0])}" if channels else ""
        message = f"{_joined(parts)} of its alerts; {_POLICY_ALERTS}{hint}"
        self._note(NoteKind.OMITTED, path, message)

    def _note(self, kind: NoteKind, path: KeyPath, message: str) -> None:
        self._notes.note(kind, path, message)


def _joined(parts: Sequence[str]) -> str:
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last


def _camel_case(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _note_windows(spec: NotedFields) -> None:
    """Note what a document of alert windows says in the words of a policy."""
    period = prometheus_duration(spec.required_spelled("sloPeriod"), spec.at("sloPeriod"))
    alerts = ", ".join(_burn_alerts(spec, Decimal(period.total_seconds())))
    message = f"write these windows into an ErrorBudgetPolicy: burnAlerts: [{alerts}]"
    spec.note(NoteKind.OMITTED, None, message)


def _burn_alerts(spec: NotedFields, period_s: Decimal) -> Iterator[str]:
    for severity in ("page", "ticket"):
        windows = spec.required_mapping(severity)
        for speed in ("quick", "slow"):
            alert = windows.required_mapping(speed)
            text = alert.required_spelled("errorBudgetPercent")
            long, short = (
                prometheus_duration(alert.required_spelled(key), alert.at(key))
                for key in ("longWindow", "shortWindow")
            )
            percent = as_number(text)
            if percent is None or percent <= 0 or not long:
                message = f"{quoted(text)} within {duration_code(long)} cannot be a part of a budget"
                raise RefusedDocumentError(message, alert.path)
            burn = percent / 100 * period_s / Decimal(long.total_seconds())
            yield burn_alert_line(severity, round(burn, 4), long, short)
