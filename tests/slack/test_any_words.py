"""Ten thousand random commands: nothing is raised, and Slack would take every answer.

The desk and everything behind it is real but for Slack's people, who are values here: no HTTP, so that
it takes seconds.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.freezes.freezer import Freezer
from bot.sandbox.block_kit import has_too_many_tables, is_too_long, message_faults
from bot.slack.announcements import Announcer
from bot.slack.asking import Ask, Question
from bot.slack.blocks import TEXT, size
from bot.slack.commands import COMMANDS
from bot.slack.desk import Desk
from bot.slack.people import Allowed, People, Right, Zone
from tests.slack.examples import service, slo
from tests.slack.office import opened, shop, switchboard

TEXTS = 10_000
HOSTILE_SERVICES = (
    service("checkout", slo("checkout"), slo("checkout", "latency", 0.99)),
    service("a&b <!channel>" * 7, slo("a&b <!channel>" * 7, "*`_~<@U1>" * 10)),
    *(service(f"service-{number}") for number in range(12)),
)


class Everyone(People):
    """People of whom all may do anything."""

    def __init__(self) -> None:
        """Ask nobody."""

    async def right(self, user: str, entries: object) -> Right:  # noqa: ARG002 - the same for all
        return Allowed("everyone")

    async def zone(self, user: str) -> Zone:  # noqa: ARG002 - the same for all
        return Zone(UTC, "UTC", known=True)


WORDS = [
    "checkout",
    "service-1",
    "chekout",
    "lift",
    "exempt",
    "for",
    "until",
    "since",
    "help",
    "whoami",
    "4h",
    "7d",
    "1h30m",
    "99999999d",
    "2026-12-01",
    "09:00",
    "2026-12-01T09:00Z",
    "9999-12-31",
    "0001-01-01",
    "PR-12",
    "P0",
    "security",
    "“peak",
    "sale”",
    '"',
    "<!channel>",
    "<@U123|dana>",
    "<#C1|x>",
    "<!subteam^S1|@sre>",
    "&lt;",
    "*`_~",
]
WORD = st.sampled_from([*WORDS, "\u00a0", "\u202e", "\x00", "🦊" * 200, "x" * 4000])
SERVICE = st.sampled_from([each.name for each in HOSTILE_SERVICES])
END = st.sampled_from(["", "for 4h", "for 2d", "until 2026-12-01 09:00", "until 09:00", "until soon"])
REASON = st.text(max_size=60) | st.lists(WORD, max_size=4).map(" ".join)
WELL_FORMED = st.one_of(
    st.tuples(SERVICE, END, REASON),
    st.tuples(st.just("lift"), SERVICE, REASON),
    st.tuples(st.just("exempt"), SERVICE, WORD, END, REASON),
    st.tuples(SERVICE, WORD, WORD),
).map(" ".join)
TYPED = WELL_FORMED | st.lists(WORD, max_size=8).map(" ".join) | st.text(max_size=80)
NAME = st.sampled_from([*(command.name for command in COMMANDS), "nonsense"])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, Desk]]:
    """A desk with a real database, on a loop that the examples share."""
    of = shop(*HOSTILE_SERVICES)
    with asyncio.Runner() as runner:
        context = opened(tmp_path)
        database = runner.run(context.__aenter__())
        freezer = Freezer(database, Announcer(lambda: of.catalog.workspace))
        overview = of.overview(freezer)
        session = runner.run(_session())
        flags = switchboard(of, overview, freezer, database, session)
        yield (
            runner,
            Desk(
                overview=overview,
                freezer=freezer,
                toggles=flags.toggles,
                ramps=flags.ramps,
                database=database,
                people=Everyone(),
                clock=of.clock,
            ),
        )
        runner.run(session.close())
        runner.run(context.__aexit__(None, None, None))


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


@given(questions=st.lists(st.tuples(NAME, TYPED, st.integers(-3, 10**9)), min_size=25, max_size=25))
@settings(
    max_examples=TEXTS // 25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_any_words_are_answered_with_blocks_that_slack_takes(
    desk: tuple[asyncio.Runner, Desk], questions: list[tuple[str, str, int]]
) -> None:
    runner, at = desk
    for number, (command, text, page) in enumerate(questions):
        ask = Ask(Question(command, text, page), "U0SAM", "C1", "general", request=f"{number}-{hash(text)}")
        reply = runner.run(at.answer(ask))
        for shown in (reply, reply.shared("U0SAM"), reply.unshareable()):
            assert not message_faults(shown.blocks), (command, text)
            assert not is_too_long(shown.blocks)
            assert not has_too_many_tables(shown.blocks)
            assert 0 < size(shown.fallback) <= TEXT
            said = shown.fallback + str(shown.blocks)
            assert not any(ping in said for ping in ("<!channel", "<!subteam", "<@U123", "<@U1>"))
            assert "None" not in said.replace(text, "")
