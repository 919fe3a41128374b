"""The notices before a freeze window begins. Pure."""

from collections import defaultdict
from collections.abc import Sequence

from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import PolicyMode
from bot.formatting import duration_text, listed
from bot.freezes.calendar.handler import Phase, WindowNotice
from bot.freezes.hold import GOVERNOR
from bot.slack.announcements.announcement import AnnouncementText, message
from bot.slack.blockkit.mrkdwn import Markup, bold, code, markup, mention, when
from bot.store.outbox import OutboxMessage

_MOST_NAMES = 8


class FreezeWindowAnnouncer:
    """Writes the notices, one for each channel; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, notice: WindowNotice) -> Sequence[OutboxMessage]:
        """Return the messages of a notice, with the services that each channel is about."""
        services = self._current.catalog.services
        of_channel: defaultdict[str, list[str]] = defaultdict(list)
        for name in notice.window.services:
            if name in services:
                of_channel[services[name].channel].append(name)
                of_channel[self._current.workspace.of(name).announcements].append(name)
        return [
            message(channel, _text(notice, list(dict.fromkeys(names))))
            for channel, names in of_channel.items()
        ]


def _text(notice: WindowNotice, services: Sequence[str]) -> AnnouncementText:
    window, occurrence = notice.window, notice.occurrence
    if notice.phase is Phase.REMOVED:
        removed = markup(
            "{} removed the freeze window {}.", mention(notice.by or GOVERNOR), code(window.name)
        )
        return AnnouncementText("freeze_window_removed", removed, (markup("It was: {}", window.reason),))
    shown = [bold(name) for name in services[:_MOST_NAMES]]
    more = len(services) - len(shown)
    names = Markup(listed([*shown, *([Markup(f"{more} more")] if more else [])], "and"))
    if window.mode is PolicyMode.OBSERVE:
        what = markup("The freeze window {} would hold {}", code(window.name), names)
    else:
        what = markup(":calendar: The freeze window {} holds {}", code(window.name), names)
    headline = markup(
        "{} from {} for {}, until {}.",
        what, when(occurrence.start), duration_text(window.duration), when(occurrence.end),
    )  # fmt: skip
    if notice.by is not None:
        done = "planned" if notice.phase is Phase.PLANNED else "changed"
        headline = markup("{} {} this. {}", mention(notice.by), done, headline)
    ask = code("/ship SERVICE exempt CHANGE REASON")
    following = markup("Next: ship what must be out before, or ask for an exemption: {}.", ask)
    return AnnouncementText("freeze_window_ahead", headline, (markup("Why: {}", window.reason),), following)
