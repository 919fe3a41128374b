"""Rules between Workspace documents: one is the main one, further ones name their Slack workspace."""

from collections.abc import Iterator, Sequence

from bot.policy.faults import IT, PolicyFault, did_you_mean, quoted
from bot.policy.rules.validation import ParsedDocument

MAIN_ONLY = (
    "evaluateEvery",
    "sources",
    "flags",
    "imports",
    "notify",
    "paging",
    "gates",
    "webhooks",
    "variables",
)
"""Keys that only the main document may have."""
_EVERYWHERE = ("team", "channels", "timeZone", "digest", "permissions")


def main_workspace(sources: Sequence[ParsedDocument]) -> ParsedDocument | None:
    """Return the main document: the only one, the one without `team`, or the one with keys of the main one.

    None if that is ambiguous.
    """
    workspaces = [source for source in sources if source.kind == "Workspace"]
    for candidates in (
        workspaces,
        [workspace for workspace in workspaces if "team" not in _spec(workspace)],
        [workspace for workspace in workspaces if any(key in _spec(workspace) for key in MAIN_ONLY)],
    ):
        if len(candidates) == 1:
            return candidates[0]
    return None


def are_both_main(first: ParsedDocument, second: ParsedDocument) -> bool:
    """Return whether both claim to be the main document; then that is the fault, not their equal names."""
    return all(source.kind == "Workspace" and "team" not in _spec(source) for source in (first, second))


def workspace_clashes(sources: Sequence[ParsedDocument]) -> Iterator[PolicyFault]:
    """Yield the faults between Workspace documents, and of services that name an unknown one."""
    workspaces = [source for source in sources if source.kind == "Workspace"]
    main = main_workspace(sources)
    yield from _without_team(workspaces)
    if main is None and all("team" in _spec(workspace) for workspace in workspaces) and workspaces:
        message = "no Workspace is the main one: each has a `team`"
        yield workspaces[-1].fault(("spec", "team"), message, "one without `team`", at_key=True)
    seen: dict[object, ParsedDocument] = {}
    for source in workspaces:
        team = _spec(source).get("team")
        if team is not None and seen.setdefault(team, source) is not source:
            yield source.fault(("spec", "team"), f"{IT} is already the team of {seen[team].title}")
        if source is not main and "team" in _spec(source):
            yield from _surplus(source)
    yield from _unknown(sources, sorted(workspace.name for workspace in workspaces))


def _without_team(workspaces: Sequence[ParsedDocument]) -> Iterator[PolicyFault]:
    without = [workspace for workspace in workspaces if "team" not in _spec(workspace)]
    for source in without[1:]:
        message = f"there is another Workspace in {without[0].where}"
        yield source.fault(
            ("kind",), message, "one without `team`; each further one with the `team` it is for"
        )


def _surplus(source: ParsedDocument) -> Iterator[PolicyFault]:
    for key in _spec(source):
        if key in MAIN_ONLY:
            message = f"{quoted(key)} belongs in the main Workspace document, the one without `team`"
            yield source.fault(("spec", key), message, ", ".join(_EVERYWHERE), at_key=True)


def _unknown(sources: Sequence[ParsedDocument], known: Sequence[str]) -> Iterator[PolicyFault]:
    for source in sources:
        name = _spec(source).get("workspace") if source.kind == "Service" else None
        if isinstance(name, str) and known and name not in known:
            message = f"unknown Workspace {IT}{did_you_mean(name, known)}"
            yield source.fault(("spec", "workspace"), message, ", ".join(known))


def _spec(source: ParsedDocument) -> dict[str, object]:
    value = source.tree.value
    spec = value.get("spec") if isinstance(value, dict) else None
    return spec if isinstance(spec, dict) else {}
