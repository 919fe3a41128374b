"""Which backends there are; the documented example of a third party's is one, and it works."""

import re
from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import aiohttp
import pytest

from bot.clock import SystemClock
from bot.flags import registry
from bot.flags.backend import FlagBackend, MisconfiguredError
from bot.flags.backends.flagd import FlagdSettings
from bot.flags.backends.flagsmith import FlagsmithSettings
from bot.flags.backends.launchdarkly import LaunchDarklySettings
from bot.flags.backends.local import LocalSettings
from bot.flags.backends.settings import BackendSettings
from bot.flags.backends.unleash import UnleashSettings
from bot.flags.registry import BACKENDS, BackendContext, backend_names, open_backend
from bot.policy.documents import workspace as documents
from bot.policy.faults import PolicyError
from bot.policy.loader import load
from bot.store.database import Database
from tests.flags.backends.flag_systems import documented_backend
from tests.support.paths import DOCS

DOCUMENT = DOCS / "flag-backends.md"
SETTINGS: dict[str, dict[str, object]] = {
    "local": {},
    "flagd": {"file": "flags.json"},
    "unleash": {"url": "https://unleash.example", "token": "t"},
    "launchdarkly": {"token": "t"},
    "flagsmith": {"token": "t", "environments": {"production": "key"}},
}


@pytest.fixture
async def backend_context(tmp_path: Path) -> AsyncIterator[BackendContext]:
    async with (
        aiohttp.ClientSession() as session,
        Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as database,
    ):
        names = ("production",)
        yield BackendContext(session, database, SystemClock(), lambda: names, lambda: ("new-checkout",))


def conforms(backend: FlagBackend) -> FlagBackend:
    """Let the type checker see that it is one."""
    return backend


@pytest.mark.parametrize("name", list(BACKENDS))
async def test_each_backend_opens_with_its_documented_settings(
    backend_context: BackendContext, name: str
) -> None:
    assert conforms(open_backend(name, SETTINGS[name], backend_context)).name == name


@pytest.mark.parametrize("name", list(BACKENDS))
async def test_unknown_settings_are_refused_without_their_values(
    backend_context: BackendContext, name: str
) -> None:
    with pytest.raises(MisconfiguredError, match="colour: extra inputs") as refused:
        open_backend(name, SETTINGS[name] | {"colour": "s3cret"}, backend_context)
    assert "s3cret" not in str(refused.value)


MODELS: dict[str, type[BackendSettings]] = {
    "local": LocalSettings,
    "flagd": FlagdSettings,
    "unleash": UnleashSettings,
    "launchdarkly": LaunchDarklySettings,
    "flagsmith": FlagsmithSettings,
}


@pytest.mark.parametrize("name", list(BACKENDS))
def test_every_setting_is_documented(name: str) -> None:
    sections = re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)
    own = next(part for part in sections if part.startswith(f"{name}\n"))
    for setting in MODELS[name].model_fields:
        assert f"`{setting}`" in own, f"{name}: {setting} is not documented"


async def test_an_unknown_backend_is_answered_with_those_there_are(backend_context: BackendContext) -> None:
    with pytest.raises(MisconfiguredError, match="are local, flagd, unleash, launchdarkly, flagsmith"):
        open_backend("abacus", {}, backend_context)


async def test_the_documented_backend_is_found_by_its_entry_point(
    backend_context: BackendContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("acme_flags")
    module.__dict__["open_backend"] = documented_backend()
    monkeypatch.setitem(__import__("sys").modules, "acme_flags", module)
    point = EntryPoint("shelf", "acme_flags:open_backend", registry.ENTRY_POINTS)
    monkeypatch.setattr(
        registry, "entry_points", lambda *, group: [point] if group == registry.ENTRY_POINTS else []
    )
    assert list(backend_names())[-1] == "shelf"
    backend = open_backend("shelf", {"flags": ["new-checkout"]}, backend_context)
    assert (await backend.read("new-checkout", "production")).is_off
    with pytest.raises(MisconfiguredError, match="needs a list"):
        open_backend("shelf", {}, backend_context)


def test_policies_may_name_the_backend_of_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = (
        "apiVersion: governor/v1\nkind: Workspace\nmetadata: {name: acme}\n"
        'spec: {channels: {announcements: "#releases"}, flags: {backend: {shelf: {flags: [a]}}}}\n'
    )
    (tmp_path / "workspace.yaml").write_text(workspace)
    with pytest.raises(PolicyError, match="this flag backend is not known"):
        load(tmp_path)
    point = EntryPoint("shelf", "acme_flags:open_backend", registry.ENTRY_POINTS)
    monkeypatch.setattr(
        documents,
        "entry_points",
        lambda *, group: [point] if group == registry.ENTRY_POINTS else [],
    )
    flags = load(tmp_path).workspace.flags
    assert (flags.backend, flags.backend_settings) == ("shelf", {"flags": ["a"]})


def test_the_documented_backend_has_at_most_60_lines() -> None:
    *_, example = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    assert len(example.splitlines()) <= 60
