"""What somebody meant who typed a word that a command does not know: `resolve`, `enable`, `close`. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from bot.slack.typed.severities import read_severity
from bot.suggestions import MISSPELT, suggest

_MOST_WORD = 60
_PLACEHOLDER = re.compile(r"\b(?:FLAG|SERVICE|ID|TITLE|TEXT|COMMIT)\b")
_SHARE = re.compile(r"[0-9.,]{1,9}%")
_WHOLE_TEXTS = {"TITLE", "TEXT"}


def _forms(**words: str) -> Mapping[str, str]:
    """Return the form for each word; the argument's name is the form, with `_` for spaces."""
    return {word: form.replace("_", " ") for form, listed in words.items() for word in listed.split()}


_OF_COMMAND: Mapping[str, Mapping[str, str]] = {
    "incident": _forms(
        status_resolved="resolve resolved close closed end ended finish finished done fix fixed stop solved",
        status_mitigated="mitigate mitigated",
        status_identified="identify identified",
        status_investigating="investigate investigating",
        open_TITLE="create new declare start begin raise report-new",
        note_TEXT="update comment log message say write add-note",
        severity_sev2="sev priority escalate",
        role_commander="assign commander lead owner",
        role_scribe="scribe",
        role_comms="comms",
        snooze_2h="mute quiet silence remind",
        private="hide secret confidential",
        **{"caused-by_COMMIT": "cause because blame culprit deployment deploy"},
        report="stats statistics metrics summary",
        list="ls all search",
    ),
    "flag": _forms(
        on_FLAG="enable enabled activate turn-on start",
        off_FLAG="disable disabled deactivate turn-off stop",
        undo_FLAG="revert rollback roll-back restore back",
        rollout_FLAG_25="set percent percentage share expose",
        show_FLAG="status get info describe view see",
        history_FLAG="log changes audit",
        stale="unused cleanup old dead",
        list="ls all",
    ),
    "freeze": _forms(
        lift_SERVICE="unfreeze release remove unlock thaw open end stop cancel delete resume off",
        exempt_SERVICE_CHANGE_REASON="allow except exception exemption bypass override",
    ),
    "postmortem": _forms(
        open="start create new begin",
        close="finish finished done resolve resolved complete end archive",
        export="download save markdown file",
    ),
    "action": _forms(
        add_TEXT="create new open todo",
        done_ID="close closed complete completed finish finished resolve resolved",
        change_ID="update edit assign set move",
        link_ID="issue ticket github gitlab jira track",
        list="ls all show",
    ),
    "governor": _forms(
        help="commands start usage info",
        whoami="me who permissions rights roles access",
        readiness_SERVICE="launch checklist ready",
        notify="notifications settings preferences dm subscribe unsubscribe",
    ),
}


def meant(command: str, words: Sequence[str], subcommands: Iterable[str]) -> list[str]:
    """Return the commands that were probably meant, as one types them; none rather than a wrong one.

    A synonym goes before a word that is only spelt alike: `resolve` is no misspelt `role`.
    """
    word, rest = words[0].casefold(), words[1:]
    severity = read_severity(words) if command == "incident" else None
    if severity is not None:
        return [f"/incident severity {severity[0].value}"]
    form = _OF_COMMAND.get(command, {}).get(word)
    if form is None:
        near = suggest(word, subcommands, cutoff=MISSPELT)
        return [f"/{command} {subcommand}" for subcommand in near]
    share = next((each for each in rest[1:] if _SHARE.fullmatch(each)), "25%")
    form = form.replace("FLAG 25", f"FLAG {share}")
    if rest:
        form = _PLACEHOLDER.sub(lambda placeholder: _filled(placeholder[0], rest), form, count=1)
    return [f"/{command} {form}"]


def _filled(placeholder: str, words: Sequence[str]) -> str:
    """Return what was typed for a placeholder; the placeholder itself where no number stands for an `ID`."""
    if placeholder == "ID":
        return words[0] if words[0].isdigit() and len(words[0]) < 10 else placeholder
    return (" ".join(words) if placeholder in _WHOLE_TEXTS else words[0])[:_MOST_WORD]
