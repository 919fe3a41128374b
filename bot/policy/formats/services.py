"""The services that the SLOs of other tools belong to, those of several documents together. Pure.

What a service needs besides comes from annotations of the documents, from defaults that their labels choose,
or from the defaults of the folder, in this order; it is never guessed.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.policy.documents.envelope import LABEL_TEXT
from bot.policy.faults import did_you_mean, quoted
from bot.policy.formats.grouping import NotGroupedError, grouped
from bot.policy.formats.imported_services import (
    Defaults,
    ImportedService,
    ImportedServices,
    ImportRules,
    Place,
    PlacedSlo,
    ServiceFault,
)
from bot.policy.formats.reading import ForeignDocument, KeyPath, Note, NoteKind, Reading, ReadSlo
from bot.policy.formats.values import NAME_AT_MOST, name_of

PREFIX: Final = "governor/"
_KEYS: Final[Mapping[str, KeyPath]] = {
    "channel": ("channel",),
    "development-team": ("teams", "development"),
    "reliability-team": ("teams", "reliability"),
    "workspace": ("workspace",),
}
"""The annotations that say something of a service, and where a policy document says it."""
_POLICY: Final = "policy"
_SERVICE: Final = "service"
_ANNOTATIONS = (*_KEYS, _POLICY, _SERVICE, "sli", "window")
CHANNEL_WAYS = (
    "the annotation governor/channel, a `channel` under `defaults` of `imports` in the Workspace document, "
    "or a Service document of that name"
)
_DESCRIPTION_AT_MOST = 500
_ANNOTATED, _CHOSEN, _GENERAL = 2, 1, 0


def services_of(
    readings: Iterable[tuple[Reading, ImportRules]],
    own: Mapping[str, Collection[str]],
    *,
    needs_channel: bool = True,
) -> ImportedServices:
    """Return the services of documents; `own` has the SLOs' names of services that the policies have.

    Without `needs_channel`, a service without one is no fault.
    """
    building = _Building(own, needs_channel=needs_channel)
    for reading, rules in readings:
        for slo in reading.slos:
            building.add(reading, slo, rules)
    return building.built()


@dataclass(slots=True)
class _Entry:
    reading: Reading
    slo: ReadSlo
    rules: ImportRules
    value: Mapping[str, Any]
    for_each: Mapping[str, str] | None

    def place(self, path: KeyPath | None = None) -> Place:
        return Place(self.reading.document, self.reading.title, self.slo.path if path is None else path)


class _Building:
    def __init__(self, own: Mapping[str, Collection[str]], *, needs_channel: bool) -> None:
        self._own = own
        self._needs_channel = needs_channel
        self._result = ImportedServices()
        self._entries: dict[tuple[str, str], list[_Entry]] = {}

    def add(self, reading: Reading, slo: ReadSlo, rules: ImportRules) -> None:
        """Add one SLO to its service."""
        place = Place(reading.document, reading.title, slo.path)
        service = self._name(reading, place, slo.annotations.get(PREFIX + _SERVICE) or slo.service)
        name = self._name(reading, place, str(slo.slo["name"]))
        if not service or not name:
            return
        value = {
            "name": name,
            "objective": slo.slo["objective"],
            "window": slo.slo.get("window", rules.window),
            **{key: each for key, each in slo.slo.items() if key not in {"name", "objective", "window"}},
        }
        policy = self._policy(slo, rules)
        if policy is not None:
            value["errorBudgetPolicy"] = policy
        named, for_each = self._grouped(reading, slo, value)
        entry = _Entry(reading, slo, rules, named, for_each)
        label = for_each["label"] if for_each is not None else ""
        self._entries.setdefault((service, label), []).append(entry)
        self._check_annotations(reading, slo)

    def built(self) -> ImportedServices:
        """Return the services of all SLOs that were added."""
        for (name, label), entries in self._entries.items():
            if not label:
                self._build(name, entries)
                continue
            matches: dict[str, list[_Entry]] = {}
            for entry in entries:
                matches.setdefault((entry.for_each or {})["match"], []).append(entry)
            for same in matches.values():
                # Services of different series would be called the same.
                first = str(same[0].value["name"])
                is_alone = len(matches) == 1 or first == name
                self._build(f"{name if is_alone else f'{name}-{first}'}-%{{{label}}}", same)
        return self._result

    def _build(self, name: str, entries: Sequence[_Entry]) -> None:
        is_own = name in self._own
        slos = self._unique(name, entries, self._own.get(name, ()))
        spec: dict[str, Any] = {}
        places: dict[KeyPath, Place] = {(): entries[0].place(())}
        labels: dict[str, str] = {}
        if is_own:
            for entry in entries:
                message = f"its SLOs go to the service {quoted(name)} of the policies, which stays as it is"
                self._note(entry.reading, NoteKind.CHANGED, (), message)
        else:
            labels = self._labels(entries)
            spec = self._spec(name, entries, places)
        self._result.services.append(ImportedService(name, is_own, labels, spec, slos, places))

    def _spec(self, name: str, entries: Sequence[_Entry], places: dict[KeyPath, Place]) -> dict[str, Any]:
        for_each = entries[0].for_each
        spec: dict[str, Any] = {"forEach": dict(for_each)} if for_each is not None else {}
        texts = dict.fromkeys(entry.slo.description for entry in entries if entry.slo.description)
        description = " ".join(" ".join(texts).split())
        if description:
            is_short = len(description) <= _DESCRIPTION_AT_MOST
            spec["description"] = description if is_short else f"{description[: _DESCRIPTION_AT_MOST - 1]}…"
        for key, path in _KEYS.items():
            found = self._value(name, key, path, entries)
            if found is None:
                continue
            value, place = found
            inner = spec
            for step in path[:-1]:
                inner = inner.setdefault(str(step), {})
            inner[str(path[-1])] = value
            if place is not None:
                places["spec", *path] = place
        if "channel" not in spec:
            self._result.without_channel.append(name)
        if "channel" not in spec and self._needs_channel:
            message = f"the service {quoted(name)} has no channel"
            self._result.faults.append(ServiceFault(entries[0].place(), message, CHANNEL_WAYS))
        return spec

    def _value(
        self, name: str, key: str, path: KeyPath, entries: Sequence[_Entry]
    ) -> tuple[object, Place | None] | None:
        """Return the strongest of what the documents of a service say, and where it stands."""
        found: list[tuple[int, object, _Entry]] = []
        for entry in entries:
            text = entry.slo.annotations.get(PREFIX + key)
            if text:
                found.append((_ANNOTATED, _listed(text) if len(path) > 1 else text, entry))
                continue
            default = _default(entry.rules.defaults, path, entry.slo.labels)
            if default is not None:
                found.append((*default, entry))
        if not found:
            return None
        strength, value, first = max(found, key=lambda each: each[0])
        places = [(each, entry) for how, each, entry in found if how == strength]
        for other, entry in places:
            if other != value:
                message = (
                    f"the {key} of {quoted(name)} is {quoted(_spoken(other))} here, "
                    f"and {quoted(_spoken(value))} in {first.place().where}"
                )
                self._result.faults.append(ServiceFault(entry.place(), message, "one for all its documents"))
                break
        annotation = ("metadata", "annotations", PREFIX + key)
        return value, first.place(annotation) if strength == _ANNOTATED else None

    def _unique(self, name: str, entries: Sequence[_Entry], own: Collection[str]) -> list[PlacedSlo]:
        slos: dict[str, PlacedSlo] = {}
        for entry in entries:
            slo, place = str(entry.value["name"]), entry.place()
            if slo in own or slo in slos:
                where = slos[slo].place.where if slo in slos else "the policies"
                message = f"{quoted(slo)} is already an SLO of the service {quoted(name)}, in {where}"
                allowed = "another name, or the annotation governor/service"
                self._result.faults.append(ServiceFault(place, message, allowed))
            else:
                slos[slo] = PlacedSlo(entry.value, place, entry.slo.source_type)
        return list(slos.values())

    def _labels(self, entries: Sequence[_Entry]) -> dict[str, str]:
        labels: dict[str, str] = {}
        for entry in entries:
            for key, text in entry.slo.labels.items():
                path = _label_path(entry.reading.document, key)
                if not (re.fullmatch(LABEL_TEXT, key) and re.fullmatch(LABEL_TEXT, text)):
                    message = f"a service cannot have the label {quoted(key)} with this value"
                    self._note(entry.reading, NoteKind.OMITTED, path, message)
                elif labels.setdefault(key, text) != text:
                    message = f"the label {quoted(key)} of the service is {quoted(labels[key])} elsewhere"
                    self._note(entry.reading, NoteKind.OMITTED, path, message)
        return labels

    def _policy(self, slo: ReadSlo, rules: ImportRules) -> object | None:
        """Return the policy that the SLO's own document names; None where it names none."""
        named = slo.annotations.get(PREFIX + _POLICY)
        default = _default(rules.defaults, ("errorBudgetPolicy",), slo.labels)
        return named or (default[1] if default is not None else None)

    def _grouped(
        self, reading: Reading, slo: ReadSlo, value: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], Mapping[str, str] | None]:
        if not slo.for_each:
            return value, None
        label, *others = slo.for_each
        try:
            value, for_each = grouped(value, label)
        except NotGroupedError:
            names = ", ".join(map(quoted, slo.for_each))
            message = f"all values of {names} are counted together: no label can be named in this query"
            self._note(reading, NoteKind.OMITTED, slo.path, message)
            return value, None
        if others:
            names = ", ".join(map(quoted, others))
            message = f"each value of {quoted(label)} gets a service; those of {names} are counted together"
            self._note(reading, NoteKind.OMITTED, slo.path, message)
        return value, for_each

    def _name(self, reading: Reading, place: Place, text: str) -> str:
        name = name_of(text)
        if not name:
            message = f"no letter or digit of the name {quoted(text)} can stand in a name"
            self._result.faults.append(ServiceFault(place, message, f"1 to {NAME_AT_MOST} of a-z, 0-9 and -"))
        elif name != text:
            message = f"the name {quoted(text)} becomes {quoted(name)}"
            self._note(reading, NoteKind.CHANGED, place.path, message)
        return name

    def _check_annotations(self, reading: Reading, slo: ReadSlo) -> None:
        for key in slo.annotations:
            name = key.removeprefix(PREFIX)
            if key.startswith(PREFIX) and name not in _ANNOTATIONS:
                known = [PREFIX + each for each in _ANNOTATIONS]
                message = f"there is no annotation {quoted(key)}{did_you_mean(key, known)}"
                self._note(reading, NoteKind.WARNING, ("metadata", "annotations", key), message)

    def _note(self, reading: Reading, kind: NoteKind, path: KeyPath, message: str) -> None:
        note, notes = Note(kind, path, message), self._result.notes.setdefault(id(reading), [])
        if note not in notes:
            notes.append(note)


def _default(
    defaults: Sequence[Defaults], path: KeyPath, labels: Mapping[str, str]
) -> tuple[int, object] | None:
    """Return the value of the first block that these labels choose, or of the first block for all."""
    for strength, blocks in (
        (_CHOSEN, [each for each in defaults if each.labels]),
        (_GENERAL, [each for each in defaults if not each.labels]),
    ):
        for block in blocks:
            if path in block.values and all(labels.get(key) == text for key, text in block.labels.items()):
                return strength, block.values[path]
    return None


def _listed(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _spoken(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _label_path(document: ForeignDocument, key: str) -> KeyPath:
    paths: tuple[KeyPath, ...] = (
        ("spec", "labels", key),
        ("labels", key),
        ("metadata", "labels", key),
        ("metadata", "labels", f"pyrra.dev/{key}"),
    )
    return next((path for path in paths if path in document.lines), ())
