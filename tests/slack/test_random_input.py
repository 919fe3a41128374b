"""Ten thousand random commands: nothing is raised, and Slack would take every answer.

The desk and everything behind it is real but for Slack's people, who are values here: no HTTP, so that
it takes seconds.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk.web.async_client import AsyncWebClient

from bot.app.freezes.freezes import Freezes
from bot.app.incidents import Incidents
from bot.app.reviews import Reviews
from bot.backtests.runner import BacktestRunner
from bot.budgets.adjustment_preview import AdjustmentPreview
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.budgets.downtime import none_recorded
from bot.budgets.ledger.ledger import Ledger
from bot.freezes.exemptions.requests import ExemptionRequests
from bot.freezes.explanation_reader import ExplanationReader
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import NewIncident
from bot.incidents.records.channels import ChannelKind, change_channel, read_channel
from bot.incidents.snapshot import IncidentSnapshot
from bot.sandbox.fake_slack.block_kit.validation import (
    has_too_many_tables,
    is_too_long,
    message_faults,
    view_faults,
)
from bot.slack.announcements.adjustments import AdjustmentAnnouncer
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.blockkit.blocks import TEXT
from bot.slack.blockkit.mrkdwn import size
from bot.slack.capabilities import AdjustmentCapabilities, Capabilities, IncidentCapabilities
from bot.slack.command_prefix import CommandPrefix
from bot.slack.command_reference import COMMANDS
from bot.slack.command_router import CommandRouter
from bot.slack.incidents.interactions import IncidentInteractions
from bot.slack.interactions import Interaction, Query
from bot.slack.permissions import Allowed, People, PermissionResult, Zone
from bot.slack.readiness.messages import appeared_messages, changed_messages
from bot.store.database import Database
from bot.teams.readiness.launches import Launches
from tests.support.clock import NOW
from tests.support.examples import shop_service
from tests.support.rotations import control_of
from tests.support.slack_app import (
    build_digests,
    build_flags,
    build_incidents,
    build_spending,
    build_velocity,
    new_database,
    shop,
)
from tests.support.values import slo

TEXTS = 10_000
HOSTILE_SERVICES = (
    shop_service("checkout", slo(), slo("latency", objective=0.99)),
    shop_service("a&b <!channel>" * 7, slo("*`_~<@U1>" * 10, service="a&b <!channel>" * 7)),
    *(shop_service(f"service-{number}") for number in range(12)),
)


class Everyone(People):
    """People who may all do anything."""

    def __init__(self) -> None:
        """Ask nobody."""

    async def check_permission(self, user: str, entries: object) -> PermissionResult:  # noqa: ARG002 - the same for all
        return Allowed("everyone")

    async def check_account(self, user: str) -> None:  # noqa: ARG002 - the same for all
        return None

    async def name(self, user: str) -> str:
        return f"*{user}*"

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
SERVICE = st.sampled_from([service.name for service in HOSTILE_SERVICES])
END = st.sampled_from(["", "for 4h", "for 2d", "until 2026-12-01 09:00", "until 09:00", "until soon"])
REASON = st.text(max_size=60) | st.lists(WORD, max_size=4).map(" ".join)
SHARE = st.sampled_from(["30%", "100", "0.5%", "101%", "-1%", "½", "1e3%"])
TIME = st.sampled_from(
    ["14:05", "23:59", "2026-11-23 09:00", "0001-01-01 00:00", "9999-12-31 23:59", "24:00", ""]
)
UP_TO = st.sampled_from(["to now", "to 14:20", "until 2026-11-23 10:00", "to", ""])
DAY = st.sampled_from(
    ["friday", "tomorrow", "2026-12-01", "1 december", "feb 30", "31 dec 9999", "9999-12-31", ""]
)
WELL_FORMED = st.one_of(
    st.tuples(SERVICE, END, REASON),
    st.tuples(st.just("lift"), SERVICE, REASON),
    st.tuples(st.just("exempt"), SERVICE, WORD, END, REASON),
    st.tuples(SERVICE, WORD, WORD),
    st.tuples(st.just("open"), REASON, st.sampled_from(["", "sev1", "sev9"]), SERVICE),
    st.tuples(st.sampled_from(["list", "show", "export", "done", "change", "snooze"]), WORD, WORD),
    st.tuples(st.just("status"), st.sampled_from(["mitigated", "resolved", "identified", "over"])),
    st.tuples(st.just("role"), st.sampled_from(["commander", "scribe", "boss"]), WORD),
    st.tuples(st.just("note"), REASON),
    st.tuples(
        st.just("impact"), SHARE, st.sampled_from(["from", "since", "of checkout from", ""]), TIME, UP_TO
    ),
    st.tuples(st.just("add"), REASON, WORD, st.sampled_from(["", "due"]), DAY, WORD),
).map(" ".join)
TYPED = WELL_FORMED | st.lists(WORD, max_size=8).map(" ".join) | st.text(max_size=80)
NAME = st.sampled_from([*(command.name for command in COMMANDS), "nonsense"])


@pytest.fixture
def command_router(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, CommandRouter]]:
    """A router with a real database, on a loop that the examples share."""
    of = shop(*HOSTILE_SERVICES)
    with asyncio.Runner() as runner:
        context = new_database(tmp_path)
        database = runner.run(context.__aenter__())
        freezes = Freezes(database, of.current, FreezeAnnouncer(of.current))
        hold_registry = freezes.registry
        status_reader = of.status_reader(hold_registry)
        session = runner.run(_session())
        flags = build_flags(of, status_reader, hold_registry, database, session)
        nobody = AsyncWebClient(token="", base_url="http://127.0.0.1:9/", session=session, retry_handlers=[])
        people = Everyone()
        room = build_incidents(of, hold_registry, database, nobody)
        runner.run(open_incident_in("C1", room, database))
        rotations = control_of(of.current, database, of.clock)
        capabilities = Capabilities(
            status_reader=status_reader,
            explanations=ExplanationReader(Ledger(database), {}, of.clock),
            spending=build_spending(of, database),
            backtests=BacktestRunner(database, none_recorded),
            hold_registry=hold_registry,
            bulk_holds=freezes.bulk,
            freeze_schedules=freezes.schedules,
            exemption_requests=ExemptionRequests(database, FreezeAnnouncer(of.current)),
            adjustments=AdjustmentCapabilities(
                AdjustmentRegistry(database, AdjustmentAnnouncer(of.current)),
                AdjustmentPreview(Ledger(database), of.current),
            ),
            flag_changes=flags.changes,
            ramps=flags.ramps,
            incidents=recorded_only(room),
            launches=Launches(database, appeared_messages, changed_messages),
            velocity=build_velocity(of, database),
            rotations=rotations,
            reviews=Reviews(database, of.current).agreements,
            digests=build_digests(of, status_reader, database, rotations),
            database=database,
            clock=of.clock,
            prefix=CommandPrefix(),
        )
        yield (
            runner,
            CommandRouter(capabilities, people, IncidentInteractions(capabilities, people, nobody)),
        )
        runner.run(session.close())
        runner.run(context.__aexit__(None, None, None))


async def open_incident_in(channel: str, room: Incidents, database: Database) -> None:
    """Make the channel in which everything is typed an incident's."""
    opening = NewIncident("k", "a&b <!channel> *500s*", Severity.SEV2, ("checkout",), "U0SAM", is_person=True)
    new_database = await room.lifecycle.open(opening, NOW)
    async with database.transaction() as connection:
        found = await read_channel(connection, new_database.incident.id, ChannelKind.INCIDENT)
        assert found is not None
        await change_channel(connection, found, channel_id=channel)


def recorded_only(incidents: Incidents) -> IncidentCapabilities:
    """Return the capabilities of incidents without carrying anything out in Slack."""

    async def channel_of(id_: int, within_s: float) -> IncidentSnapshot:
        del within_s
        return await incidents.snapshots.of(id_)

    return replace(incidents.capabilities, channel_of=channel_of)


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


# The last of the ten thousand words must come on a slow machine too.
@pytest.mark.timeout(900)
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
    command_router: tuple[asyncio.Runner, CommandRouter], questions: list[tuple[str, str, int]]
) -> None:
    runner, at = command_router
    for number, (command, text, page) in enumerate(questions):
        interaction = Interaction(
            Query(command, text, page), "U0SAM", "C1", "general", request=f"{number}-{hash(text)}"
        )
        reply = runner.run(at.answer(interaction))
        assert reply.form is None or not view_faults(reply.form.view("C1", "https://x"), "modal")
        for shown in (reply, reply.shared("U0SAM"), reply.unshareable()):
            assert not message_faults(shown.blocks), (command, text)
            assert not is_too_long(shown.blocks)
            assert not has_too_many_tables(shown.blocks)
            assert 0 < size(shown.fallback) <= TEXT
            said = shown.fallback + str(shown.blocks)
            # Who is given a role or an action is named, and may be told so.
            named = () if command in {"incident", "postmortem", "action"} else ("<@U123",)
            assert not any(ping in said for ping in ("<!channel", "<!subteam", "<@U1>", *named))
            assert "None" not in said.replace(text, "")


@pytest.mark.parametrize("number", ["9" * 16, "9" * 20, "9" * 5_000, "\u0663" * 20])
@pytest.mark.parametrize(
    "form",
    ["rotation agree {}", "rotation decline {}", "budget approve {}", "budget reverse {} a mistake",
     "action done {}", "budget adjust checkout +{} availability from 08:00 to 08:05 a test",
     "incident reopen {}", "incident merge into {}", "freeze schedule remove {}", "postmortem {}"],
)  # fmt: skip
def test_a_number_of_nothing_is_answered_with_what_to_type(
    command_router: tuple[asyncio.Runner, CommandRouter], form: str, number: str
) -> None:
    runner, router = command_router
    command, _, text = form.format(number).partition(" ")
    reply = runner.run(
        router.answer(Interaction(Query(command, text), "U0SAM", "C1", "general", request="1"))
    )
    assert not reply.seen_by_channel
    assert reply.text
