"""What `/rotation` answers: who serves now and next, what there was, who is away. Pure."""

from collections.abc import Sequence
from datetime import datetime

from bot.catalog.rotation import Rotation
from bot.formatting import counted, from_now_text, listed
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, day, join, markup, mention, when
from bot.slack.interactions import Query, Reply, page_buttons, page_of, say, show_button
from bot.slack.rotations.messages import SIDES
from bot.teams.rotations.outlook import ComingPeriod, RotationOutlook
from bot.teams.rotations.period import RotationPeriod
from bot.teams.rotations.plan import Side

_PAGE = 10
_NO_ROTATION = (
    "There is no rotation here yet. Next: add a document of the kind {} to the policies; {} begins with one."
)


def no_rotation() -> Reply:
    """Return that the policies have no rotation, and how to begin."""
    return say(markup(_NO_ROTATION, code("Rotation"), code("docs/rotation.md")))


def rotation_reply(outlook: RotationOutlook, now: datetime) -> Reply:
    """Return who serves in a rotation now, and who will next."""
    rotation = outlook.rotation
    title = markup(
        "{} for {}, {}", bold(f"Rotation {rotation.name}"), listed(rotation.services), _every(rotation)
    )
    coming = join("\n", [_coming_line(each) for each in outlook.coming])
    body = [
        section(join("\n", [title, markup("{} {}", bold("Now"), _now(outlook, now))])),
        section(join("\n", [bold("Next, as things stand"), coming])),
    ]
    if outlook.absences:
        away = [
            markup("{} {} to {}", mention(each.person), when(each.from_at), when(each.until_at))
            for each in outlook.absences
        ]
        body.append(section(join("\n", [bold("Away"), *away])))
    if outlook.asked:
        asked = [
            markup("{} asks {}", mention(each.asked_by), mention(each.asked_of)) for each in outlook.asked
        ]
        body.append(section(join("\n", [bold("Swaps that wait for an answer"), *asked])))
    change, swap = code("/rotation away until friday"), code("/rotation swap @colleague")
    body.append(context(markup("{} and {} change it.", change, swap)))
    query = Query("rotation", rotation.name)
    history = show_button("History", Query("rotation", f"history {rotation.name}"))
    return Reply(markup("Rotation {}", rotation.name), tuple(body), history, shareable=query)


def all_rotations(shown: Sequence[tuple[Rotation, RotationPeriod | None]], now: datetime) -> Reply:
    """Return who serves in each of several rotations."""
    lines = [
        markup("{} for {}: {}", bold(rotation.name), listed(rotation.services), _pair(period, rotation, now))
        for rotation, period in shown
    ]
    buttons = [
        button
        for rotation, _ in shown[:5]
        for button in show_button(rotation.name, Query("rotation", rotation.name))
    ]
    text = markup("{}", counted(len(shown), "rotation"))
    return Reply(text, (section(join("\n", lines)),), tuple(buttons), shareable=Query("rotation"))


def history_reply(rotation: Rotation, periods: Sequence[RotationPeriod], query: Query) -> Reply:
    """Return who has served in a rotation, the newest first, and how often each has."""
    if not periods:
        return say(markup("Nobody has served in {} yet.", bold(rotation.name)))
    newest = list(reversed(periods))
    page, pages = page_of(query.page, len(newest), _PAGE)
    lines = [_past_line(period) for period in newest[(page - 1) * _PAGE : page * _PAGE]]
    title = markup("{}, {}", bold(f"Rotation {rotation.name}"), counted(len(periods), "period"))
    body = [section(join("\n", [title, *lines]))]
    return Reply(
        markup("History of the rotation {}", rotation.name),
        tuple(body),
        page_buttons(Query(query.command, query.text, page), pages),
        shareable=query,
    )


def _every(rotation: Rotation) -> str:
    weeks, days = divmod(rotation.every.days, 7)
    length = counted(rotation.every.days, "day") if days else counted(weeks, "week")
    return f"a new pair every {length.removeprefix('1 ')}"


def _now(outlook: RotationOutlook, now: datetime) -> Markup:
    return _pair(outlook.current, outlook.rotation, now)


def _pair(period: RotationPeriod | None, rotation: Rotation, now: datetime) -> Markup:
    if period is None:
        begins = rotation.next_begin(now)
        return markup("nobody yet; the first pair begins {}", when(begins))
    if not period.pair:
        return markup("nobody is there until {}", when(period.ends_at))
    missing = [f"nobody from {SIDES[side]}" for side in Side if period.person(side) is None]
    people = Markup(listed([*(str(mention(person)) for person in period.pair), *missing]))
    return markup("{} until {} ({})", people, when(period.ends_at), from_now_text(period.ends_at, now))


def _coming_line(coming: ComingPeriod) -> Markup:
    planned = coming.planned
    who = [
        mention(person) if (person := planned.of(side)) else markup("nobody from {}", SIDES[side])
        for side in Side
    ]
    return markup("{} {} and {}", day(coming.begins_at), *who)


def _past_line(period: RotationPeriod) -> Markup:
    people = Markup(listed([str(mention(person)) for person in period.people])) or Markup("nobody was there")
    end = day(period.ends_at)
    return markup("{} to {} {}", day(period.begins_at), end, people)
