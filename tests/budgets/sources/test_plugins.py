"""Sources that installed packages add: named by `type`, opened by their entry point, and kept apart."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from types import ModuleType

import aiohttp
import pytest

from bot.budgets.source import Bucket, Source, SourceRefusedError
from bot.budgets.sources import registry
from bot.budgets.sources.one_by_one import OneByOneSource
from bot.budgets.sources.registry import SourceRegistry
from bot.catalog.catalog import Catalog
from bot.catalog.slo import Sli
from bot.catalog.source_slis import PluginSli
from bot.catalog.sources import SOURCE_ENTRY_POINTS
from bot.catalog.window import Span
from bot.policy.documents.sources import plugin
from bot.policy.loader import load
from bot.policy.secrets import secrets_of
from tests.policy.conftest import SERVICE, WORKSPACE, Write, faults_of, write

__all__ = ["write"]

NAMED = WORKSPACE + "    abacus: {type: abacus, beads: 7, apiKey: s3cret}\n"
SPAN = Span(datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 1, 12, 3, tzinfo=UTC))
MINUTE = timedelta(minutes=1)
_Opener = Callable[[Mapping[str, object], aiohttp.ClientSession], Source]


class Abacus(OneByOneSource):
    """Counts as many events as it has beads in each bucket."""

    def __init__(self, beads: int) -> None:
        self._beads = beads

    async def check(self) -> None:
        """Answer always."""

    async def _read(self, sli: Sli, span: Span, step: timedelta) -> list[Bucket]:
        assert isinstance(sli, PluginSli)
        bad, starts = json.loads(sli.text)["bad"], range(int((span.end - span.start) / step))
        return [Bucket(span.start + index * step, step, bad, self._beads) for index in starts]


def open_abacus(settings: Mapping[str, object], session: aiohttp.ClientSession) -> Source:
    assert not session.closed
    return Abacus(int(str(settings["beads"])))


def install(monkeypatch: pytest.MonkeyPatch, opener: _Opener) -> None:
    module = ModuleType("acme_sources")
    module.__dict__["open_source"] = opener
    monkeypatch.setitem(__import__("sys").modules, "acme_sources", module)
    point = EntryPoint("abacus", "acme_sources:open_source", SOURCE_ENTRY_POINTS)

    def entry_points(*, group: str, name: str = "abacus") -> list[EntryPoint]:
        return [point] if (group, name) == (SOURCE_ENTRY_POINTS, "abacus") else []

    monkeypatch.setattr(plugin, "entry_points", entry_points)
    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.fixture
def policies(write: Write, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    install(monkeypatch, open_abacus)
    return load(write(w=NAMED, s=SERVICE.replace("events: {}", "abacus: {bad: 2}")))


async def test_a_source_of_an_installed_package_is_read(policies: Catalog) -> None:
    async with aiohttp.ClientSession() as session:
        sources = SourceRegistry(session)
        sources.follow(policies.workspace)
        (answer,) = await sources["abacus"].read_together([policies.slos[0].sli], SPAN, MINUTE)
        starts = [SPAN.start, SPAN.start + MINUTE, SPAN.start + 2 * MINUTE]
        assert answer == [Bucket(start, MINUTE, 2, 7) for start in starts]
        inspection = await sources["abacus"].inspect(policies.slos[0].sli, SPAN, MINUTE)
        assert inspection.newest == SPAN.end
        with pytest.raises(SourceRefusedError, match="cannot be divided"):
            sources["abacus"].narrowed(policies.slos[0].sli, "flag", "on")


def test_its_secrets_are_known(policies: Catalog) -> None:
    assert secrets_of(policies) == ("s3cret",)
    assert "s3cret" not in repr(policies)


async def test_one_that_cannot_be_opened_says_why_and_leaves_the_others_alone(
    policies: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: Mapping[str, object], session: aiohttp.ClientSession) -> Source:
        raise KeyError("beads")

    install(monkeypatch, broken)
    async with aiohttp.ClientSession() as session:
        sources = SourceRegistry(session)
        sources.follow(policies.workspace)
        assert set(sources) == {"abacus", "prometheus"}
        with pytest.raises(SourceRefusedError, match="type abacus cannot be opened: 'beads'"):
            await sources["abacus"].check()
        (answer,) = await sources["abacus"].read_together([policies.slos[0].sli], SPAN, MINUTE)
        assert isinstance(answer, SourceRefusedError)


async def test_a_package_that_has_gone_is_named(policies: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda **_: [])
    async with aiohttp.ClientSession() as session:
        sources = SourceRegistry(session)
        sources.follow(policies.workspace)
        with pytest.raises(SourceRefusedError, match="no installed package has sources of type abacus"):
            await sources["abacus"].check()


def test_an_unknown_type_is_refused_with_those_there_are(write: Write) -> None:
    (fault,) = faults_of(write(w=NAMED.replace("type: abacus", "type: promethus"), s=SERVICE))
    assert fault.path == "spec.sources.abacus.type"
    assert fault.message == "this type of source is not known: `promethus`; did you mean `prometheus`?"
    assert "prometheus" in fault.allowed


def test_a_type_does_not_come_from_the_environment(write: Write) -> None:
    folder = write(w=NAMED.replace("type: abacus", 'type: "${KIND}"'), s=SERVICE)
    (fault,) = faults_of(folder, KIND="hidden")
    assert fault.path == "spec.sources.abacus.type"
    assert fault.message == "the environment variable `KIND` is not filled in here"
