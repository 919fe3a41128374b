"""Reads OpenSLO's documents: `openslo/v1`, and what else calls itself OpenSLO. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bot.policy.formats.noted_fields import DocumentNotes, RefusedDocumentError
from bot.policy.formats.openslo.alerts import burn_alert, burn_alerts, note_target
from bot.policy.formats.openslo.metric_sources import note_connection
from bot.policy.formats.openslo.objects import KINDS, VERSIONS, OpenSloObjects, kind_of, name_of
from bot.policy.formats.openslo.slos import slos_of, texts
from bot.policy.formats.reading import ForeignDocument, NoteKind, Reading, ReadSlo

_UNKNOWN: Final = "is not a field that Governor knows of OpenSLO"


class OpenSloReader:
    """Reads the documents of OpenSLO, which may refer to each other."""

    name = "OpenSLO"

    def recognizes(self, value: Mapping[str, Any]) -> bool:
        """Return whether a document calls itself one of OpenSLO, in whatever version."""
        version = value.get("apiVersion")
        return isinstance(version, str) and version.casefold().startswith(("openslo/", "openslo.com/"))

    def read(self, documents: Sequence[ForeignDocument], source: str) -> Sequence[Reading]:
        """Return what becomes of documents that it recognizes, in their order."""
        objects = OpenSloObjects(documents)
        # What services say of themselves goes to their SLOs.
        services: dict[str, ReadSlo] = {}
        for notes in objects.of_kind("Service"):
            service = _service(notes)
            if service is not None:
                services.setdefault(service.service, service)
        readings: dict[int, Reading] = {}
        for notes in objects.all:
            if kind_of(notes.document.value) == "SLO":
                readings[id(notes)] = _with_services(_slo(notes, objects, source), services)
        for notes in objects.all:
            if id(notes) not in readings:
                readings[id(notes)] = _part(notes, objects)
        # What an SLO says of an object that it refers to may come after that object.
        return [_finished(readings[id(notes)], notes) for notes in objects.all]


def _slo(notes: DocumentNotes, objects: OpenSloObjects, source: str) -> Reading:
    document, title, used = notes.document, _title(notes), set(objects.used)
    try:
        _check_version(notes)
        return Reading(document, title, slos_of(notes.root, objects, source))
    except RefusedDocumentError as error:
        objects.used = used
        return _refused(document, title, error)


def _part(notes: DocumentNotes, objects: OpenSloObjects) -> Reading:
    """Return what becomes of a document that holds no SLO."""
    document, title = notes.document, _title(notes)
    try:
        _check_version(notes)
        _read_part(notes, objects)
    except RefusedDocumentError as error:
        return _refused(document, title, error)
    return Reading(document, title)


def _read_part(notes: DocumentNotes, objects: OpenSloObjects) -> None:
    root, kind = notes.root, kind_of(notes.document.value)
    root.ignore("apiVersion", "kind")
    earlier = objects.namesake(notes)
    if earlier is not None:
        message = (
            f"there is a {kind} of that name already, in {earlier.file}, line {earlier.line}: that counts"
        )
        notes.note(NoteKind.WARNING, ("metadata", "name"), message)
    metadata = root.required_mapping("metadata")
    metadata.required_text("name")
    metadata.ignore("displayName", "namespace", "labels", "annotations")
    spec = root.mapping("spec")
    if kind == "Service":
        if spec is not None:
            spec.ignore("description")
        return
    if spec is None:
        raise root.refusal("spec", "`spec` is missing")
    if kind == "SLI":
        spec.ignore("description")
        if not objects.is_used(notes):
            notes.read.add(())
            notes.note(NoteKind.OMITTED, (), "no SLO that can be read refers to this indicator")
    elif kind == "DataSource":
        note_connection(metadata.required_text("name"), spec)
    elif kind == "AlertNotificationTarget":
        note_target(root)
    elif not objects.is_used(notes):
        line = burn_alert(spec) if kind == "AlertCondition" else ", ".join(burn_alerts(spec, objects))
        wanted = f"; in an ErrorBudgetPolicy it would be `burnAlerts: [{line}]`" if line else ""
        notes.note(NoteKind.OMITTED, ("spec",), f"no SLO that can be read refers to it{wanted}")


def _check_version(notes: DocumentNotes) -> None:
    root, value = notes.root, notes.document.value
    version, kind = value.get("apiVersion"), kind_of(value)
    root.ignore("apiVersion", "kind")
    if version not in VERSIONS:
        message = f"this version of OpenSLO is not known: `{version}`; Governor reads {', '.join(VERSIONS)}"
        raise root.refusal("apiVersion", message, is_unsupported=True)
    if kind not in KINDS:
        raise root.refusal("kind", f"`kind` must be one of {', '.join(KINDS)}, not `{value.get('kind')}`")


def _finished(reading: Reading, notes: DocumentNotes) -> Reading:
    if reading.refusal is not None:
        # Of what is not read, only mistakes are worth a word.
        warnings = (note for note in notes.notes if note.kind is NoteKind.WARNING)
        return replace(reading, notes=tuple(warnings))
    notes.note_unread(_UNKNOWN)
    return replace(reading, notes=tuple(notes.notes))


def _refused(document: ForeignDocument, title: str, error: RefusedDocumentError) -> Reading:
    return Reading(
        document,
        title,
        refusal=error.message,
        refused_at=error.path,
        is_unsupported=error.is_unsupported,
    )


def _title(notes: DocumentNotes) -> str:
    value = notes.document.value
    return f"{kind_of(value) or 'document'} {name_of(value)}".strip()


def _service(notes: DocumentNotes) -> ReadSlo | None:
    """Return what a Service document says of its service."""
    root = notes.root
    try:
        metadata, spec = root.required_mapping("metadata"), root.mapping("spec")
        return ReadSlo(
            service=metadata.required_text("name"),
            slo={},
            description=(spec.text("description") or "") if spec is not None else "",
            labels=texts(metadata, "labels"),
            annotations=texts(metadata, "annotations"),
        )
    except RefusedDocumentError:
        return None


def _with_services(reading: Reading, services: Mapping[str, ReadSlo]) -> Reading:
    slos = []
    for slo in reading.slos:
        service = services.get(slo.service)
        if service is None:
            slos.append(slo)
            continue
        slos.append(
            replace(
                slo,
                description=service.description,
                labels={**service.labels, **slo.labels},
                annotations={**service.annotations, **slo.annotations},
            )
        )
    return replace(reading, slos=tuple(slos))
