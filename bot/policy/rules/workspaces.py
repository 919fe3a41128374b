"""What must hold between Workspace documents: one is the main one, further ones name their team in Slack."""

from collections.abc import Iterator, Sequence

from bot.policy.faults import IT, PolicyFault, did_you_mean, quoted
from bot.policy.rules.validation import ParsedDocument

MAIN_ONLY = ("evaluateEvery", "sources", "flags")
"""What only the main document says."""
_EVERYWHERE = ("team", "channels", "permissions")


def main_workspace(sources: Sequence[ParsedDocument]) -> ParsedDocument | None:
    """Return the main document: the only one, the one without `team`, or the one that says more than others.

    None where that cannot be told.
    """
    workspaces = [source for source in sources if source.kind == "Workspace"]
    for candidates in (
        workspaces,
        [one for one in workspaces if "team" not in _spec(one)],
        [one for one in workspaces if any(key in _spec(one) for key in MAIN_ONLY)],
    ):
        if len(candidates) == 1:
            return candidates[0]
    return None


def are_rivals(one: ParsedDocument, other: ParsedDocument) -> bool:
    """Return whether both would be the main document: that is said, not also that their names are alike."""
    return all(source.kind == "Workspace" and "team" not in _spec(source) for source in (one, other))


def workspace_clashes(sources: Sequence[ParsedDocument]) -> Iterator[PolicyFault]:
    """Yield what is wrong between Workspace documents, and where services name one that is not there."""
    workspaces = [source for source in sources if source.kind == "Workspace"]
    main = main_workspace(sources)
    yield from _without_team(workspaces)
    if main is None and all("team" in _spec(one) for one in workspaces) and workspaces:
        words = "which Workspace is the main one cannot be told: each has a `team`"
        yield workspaces[-1].fault(("spec", "team"), words, "one without `team`", at_key=True)
    seen: dict[object, ParsedDocument] = {}
    for source in workspaces:
        team = _spec(source).get("team")
        if team is not None and seen.setdefault(team, source) is not source:
            yield source.fault(("spec", "team"), f"{IT} is already the team of {seen[team].title}")
        if source is not main and "team" in _spec(source):
            yield from _surplus(source)
    yield from _unknown(sources, sorted(one.name for one in workspaces))


def _without_team(workspaces: Sequence[ParsedDocument]) -> Iterator[PolicyFault]:
    without = [one for one in workspaces if "team" not in _spec(one)]
    for source in without[1:]:
        words = f"there is another Workspace in {without[0].where}"
        yield source.fault(("kind",), words, "one; further ones with the `team` that they are for")


def _surplus(source: ParsedDocument) -> Iterator[PolicyFault]:
    for key in _spec(source):
        if key in MAIN_ONLY:
            words = f"{quoted(key)} belongs into the main Workspace document, the one without `team`"
            yield source.fault(("spec", key), words, ", ".join(_EVERYWHERE), at_key=True)


def _unknown(sources: Sequence[ParsedDocument], known: Sequence[str]) -> Iterator[PolicyFault]:
    for source in sources:
        wanted = _spec(source).get("workspace") if source.kind == "Service" else None
        if isinstance(wanted, str) and known and wanted not in known:
            words = f"unknown Workspace {IT}{did_you_mean(wanted, known)}"
            yield source.fault(("spec", "workspace"), words, ", ".join(known))


def _spec(source: ParsedDocument) -> dict[str, object]:
    value = source.tree.value
    spec = value.get("spec") if isinstance(value, dict) else None
    return spec if isinstance(spec, dict) else {}
