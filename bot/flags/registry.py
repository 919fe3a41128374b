"""Which flag backends there are: an explicit dictionary, and entry points for third parties.

A third party registers `NAME = "package.module:open_backend"` in the entry point group
`governor.flag_backends`; it is called as `open_backend(settings, session, environments)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import aiohttp

from bot.clock import Clock
from bot.flags.backend import FlagBackend, MisconfiguredError
from bot.flags.backends.flagd import FlagdBackend
from bot.flags.backends.flagsmith import FlagsmithBackend
from bot.flags.backends.launchdarkly import LaunchDarklyBackend
from bot.flags.backends.local import LocalBackend, LocalSettings, Names
from bot.flags.backends.settings import read_settings
from bot.flags.backends.unleash import UnleashBackend
from bot.store.database import Database

ENTRY_POINTS = "governor.flag_backends"


@dataclass(frozen=True, slots=True)
class BackendContext:
    """What backends are opened with: shared connections, and the names in the policies in force."""

    session: aiohttp.ClientSession
    database: Database
    clock: Clock
    environments: Names
    declared: Names


Settings = Mapping[str, object]
Opener = Callable[[Settings, BackendContext], FlagBackend]


def _local(settings: Settings, context: BackendContext) -> FlagBackend:
    read_settings(LocalSettings, "local", settings)
    return LocalBackend(
        context.database, context.clock, environments=context.environments, declared=context.declared
    )


BACKENDS: Mapping[str, Opener] = {
    "local": _local,
    "flagd": lambda settings, context: FlagdBackend(settings, tuple(context.environments())),
    "unleash": lambda settings, context: UnleashBackend(settings, context.session),
    "launchdarkly": lambda settings, context: LaunchDarklyBackend(settings, context.session),
    "flagsmith": lambda settings, context: FlagsmithBackend(settings, context.session),
}
"""The built-in backends."""


def backend_names() -> Sequence[str]:
    """Return every name that a policy may use: the built-in backends, then those of installed packages."""
    return [*BACKENDS, *sorted(point.name for point in _plugins())]


def open_backend(name: str, settings: Settings, context: BackendContext) -> FlagBackend:
    """Return the backend of that name; raises `MisconfiguredError` for an unknown name or wrong settings."""
    if name in BACKENDS:
        return BACKENDS[name](settings, context)
    for point in _plugins():
        if point.name == name:
            opened: FlagBackend = point.load()(settings, context.session, tuple(context.environments()))
            return opened
    raise MisconfiguredError(
        f"there is no flag backend {name}; the backends are {', '.join(backend_names())}"
    )


def _plugins() -> Sequence[Any]:
    return [point for point in entry_points(group=ENTRY_POINTS) if point.name not in BACKENDS]
