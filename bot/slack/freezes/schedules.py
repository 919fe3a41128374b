"""`/freeze schedule`: the freeze windows to come; planning one, moving its end, removing it."""

from collections.abc import Sequence
from datetime import datetime

from bot.catalog.freeze_window import FreezeWindow
from bot.catalog.window import Span
from bot.formatting import duration_text, listed
from bot.freezes.calendar.occurrences import current_occurrence, next_occurrence
from bot.freezes.calendar.planning import (
    NewWindow,
    NoPlannedWindowError,
    PlannedAlreadyError,
    WindowPlanError,
    local_start,
)
from bot.freezes.calendar.schedules import PlannedWindow
from bot.slack.arguments import UsageError, reason
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, mention, naming, when
from bot.slack.capabilities import Capabilities
from bot.slack.freezes.permission import require_permission
from bot.slack.freezes.selection import read_selection, selection_text
from bot.slack.interactions import Interaction, Query, Reply, changed, page_buttons, page_of, say
from bot.slack.permissions import People
from bot.slack.typed.schedules import FORM, read_end, read_schedule
from bot.slack.typed.words import plain
from bot.suggestions import did_you_mean, suggest

_SHOWN = 10
_MOST_NAMES = 6
_DAYS = {
    "MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday", "SA": "Saturday",
    "SU": "Sunday",
}  # fmt: skip


class FreezeScheduleForms:
    """The forms of `/freeze schedule`."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._status_reader = capabilities.status_reader
        self._schedules = capabilities.freeze_schedules
        self._clock = capabilities.clock
        self._people = people

    async def answer(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        """Return the windows to come, or change one; raises `UsageError` and `UnknownServiceError`."""
        match [plain(word) for word in words[:1]]:
            case [] | ["list"]:
                return await self._list(interaction.query)
            case ["remove" | "cancel"]:
                return await self._remove(interaction, words[1:])
            case ["end" | "move"]:
                return await self._move_end(interaction, words[1:])
            case _:
                return await self._plan(interaction, words)

    async def _list(self, query: Query) -> Reply:
        now, catalog = self._clock.now(), self._status_reader.catalog
        planned = {each.name: each for each in await self._schedules.planned(catalog)}
        windows = [*catalog.freeze_windows.values(), *(each.window(catalog) for each in planned.values())]
        coming = sorted(
            ((occurrence, window) for window in windows if (occurrence := _occurrence(window, now))),
            key=lambda each: (each[0].start, each[1].name),
        )
        if not coming:
            text = markup("No freeze is planned. Plan one: {}.", code(f"/freeze schedule SERVICE {FORM}"))
            return Reply(text, (section(text),), shareable=query)
        page, pages = page_of(query.page, len(coming), _SHOWN)
        shown = coming[(page - 1) * _SHOWN : page * _SHOWN]
        lines = [_line(window, occurrence, planned.get(window.name), now) for occurrence, window in shown]
        count = "1 freeze window" if len(coming) == 1 else f"{len(coming)} freeze windows"
        note = count if pages == 1 else f"{count} · page {page} of {pages}"
        body = (*(section(line) for line in lines), context(note))
        return Reply(join("\n", lines), body, page_buttons(query, pages), query)

    async def _plan(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        selection, rest = read_selection(words, self._status_reader)
        now, zone = self._clock.now(), await self._people.zone(interaction.user)
        typed = read_schedule(rest, now, zone.tz)
        why = reason(typed.rest)
        if not why:
            raise UsageError(
                markup("Say why, so that everyone knows: {}.", code(f"/freeze schedule {words[0]} {FORM}"))
            )
        request = await self._permitted(interaction)
        new = NewWindow(
            selection, local_start(typed.start, zone.name), zone.name, typed.duration, typed.rule, why
        )
        try:
            planned = await self._schedules.plan(
                new, team=self._team, by=interaction.user, request=request, now=now
            )
        except PlannedAlreadyError:
            return say(Markup("This request was carried out already."))
        except WindowPlanError as error:
            raise UsageError(markup("{}.", _sentence(error))) from error
        done = markup(
            ":calendar: Planned as {}: {} {} frozen from {} for {}{}: {}",
            code(planned.name), selection_text(selection), "is" if selection.services else "are",
            when(typed.start), duration_text(typed.duration), _recurrence(typed.rule), why,
        )  # fmt: skip
        note = markup("Times are read in the zone {}. It is told a day and an hour ahead.", zone.name)
        return self._changed(interaction, planned, done, note)

    async def _move_end(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        form = code("/freeze schedule end NAME until 18:00")
        if len(words) < 2:
            raise UsageError(markup("Name the window and its end: {}.", form))
        planned = await self._find(words[0])
        now = self._clock.now()
        occurrence = _occurrence(planned.window(self._status_reader.catalog), now)
        if occurrence is None:
            raise UsageError(markup("{} is over.", code(planned.name)))
        zone = await self._people.zone(interaction.user)
        length, used = read_end(words[1:], occurrence.start, now, zone.tz)
        if words[1 + used :]:
            raise UsageError(markup("Only the end can be moved: {}.", form))
        request = await self._permitted(interaction)
        until = occurrence.start + length
        try:
            before, _ = await self._schedules.end_at(
                planned.name, until, team=self._team, by=interaction.user, request=request, now=now
            )
        except PlannedAlreadyError:
            return say(Markup("This request was carried out already."))
        except WindowPlanError as error:
            raise UsageError(markup("{}.", _sentence(error))) from error
        done = markup(
            "{} now ends at {}, not at {}.",
            code(planned.name), when(until), when(occurrence.start + before.duration),
        )  # fmt: skip
        note = markup("Times are read in the zone {}.", zone.name)
        return self._changed(interaction, planned, done, note)

    async def _remove(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        if not words:
            raise UsageError(markup("Name the window: {}.", code("/freeze schedule remove NAME")))
        planned = await self._find(words[0])
        why = reason(words[1:])
        request = await self._permitted(interaction)
        try:
            await self._schedules.remove(
                planned.name,
                team=self._team,
                by=interaction.user,
                reason=why,
                request=request,
                now=self._clock.now(),
            )
        except PlannedAlreadyError:
            return say(Markup("This request was carried out already."))
        except NoPlannedWindowError as error:
            raise UsageError(markup("{}.", _sentence(error))) from error
        done = markup("{} is removed: {}", code(planned.name), planned.reason)
        return self._changed(interaction, planned, done)

    async def _find(self, word: str) -> PlannedWindow:
        """Return the planned window of that name; raises `UsageError` that tells policies' windows apart."""
        catalog = self._status_reader.catalog
        name = plain(word)
        planned = {each.name: each for each in await self._schedules.planned(catalog)}
        for each in (name, f"#{name}"):
            if each in planned:
                return planned[each]
        if name in catalog.freeze_windows:
            raise UsageError(
                markup(
                    "{} is a document of the policies: change it there, and it is followed at once.",
                    code(name),
                )
            )
        near = suggest(name, [*planned, *catalog.freeze_windows], most=1)
        raise UsageError(
            markup(
                "There is no planned freeze {}{}. {} lists them.",
                code(name), did_you_mean(near), code("/freeze schedule"),
            )
        )  # fmt: skip

    @property
    def _team(self) -> str | None:
        return self._status_reader.catalog.workspace.elsewhere

    async def _permitted(self, interaction: Interaction) -> str:
        entries = self._status_reader.catalog.workspace.permissions.freeze
        return await require_permission(self._people, interaction, entries, "plan a freeze")

    def _changed(
        self, interaction: Interaction, planned: PlannedWindow, done: Markup, note: Markup = NOTHING
    ) -> Reply:
        catalog = self._status_reader.catalog
        held = [catalog.services[name].channel for name in planned.window(catalog).services]
        return changed(interaction, (catalog.workspace.announcements, *held), done, note)


def _occurrence(window: FreezeWindow, now: datetime) -> Span | None:
    """Return the occurrence in force, else the next one; None if it is over."""
    if not window.services:
        return None
    return current_occurrence(window, now) or next_occurrence(window, now)


def _line(window: FreezeWindow, occurrence: Span, planned: PlannedWindow | None, now: datetime) -> Markup:
    names = [bold(name) for name in window.services[:_MOST_NAMES]]
    more = len(window.services) - len(names)
    services = listed([*names, *([Markup(f"{more} more")] if more else [])], "and")
    is_on = occurrence.start <= now
    state = Markup(":snowflake: in force since ") if is_on else Markup("from ")
    by = markup(" — planned by {}", mention(planned.by)) if planned else Markup(" — of the policies")
    return join(
        "\n",
        [
            markup(
                "{}: {}{} until {}{}{}",
                code(window.name), state, when(occurrence.start), when(occurrence.end),
                _recurrence(window.rule), by,
            ),
            markup("Holds {}: {}", Markup(services), naming(window.reason)),
        ],
    )  # fmt: skip


def _recurrence(rule: str | None) -> Markup:
    """Return how it recurs, as part of a sentence."""
    if rule is None:
        return NOTHING
    parts = dict(part.split("=", 1) for part in rule.split(";") if "=" in part)
    days = parts.get("BYDAY", "").split(",")
    if rule == "FREQ=DAILY":
        return Markup(", every day")
    if set(parts) == {"FREQ", "BYDAY"} and parts["FREQ"] == "WEEKLY" and all(day in _DAYS for day in days):
        named = "weekday" if days == list(_DAYS)[:5] else listed([_DAYS[day] for day in days], "and")
        return markup(", every {}", named)
    return markup(", again by {}", code(rule))


def _sentence(error: WindowPlanError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
