"""Applications: real clients that evaluate a flag for many users.

They block, so tests run them in a thread.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import FeatureProvider
from UnleashClient import UnleashClient  # type: ignore[attr-defined] # it lists no exports

from tests.support.unleash_server import CLIENT_TOKEN

# Unleash itself looks for changes each second.
_REFRESH_S = 0.25


class Application(Protocol):
    """An application that asks for a flag with a code default of true, the more dangerous one."""

    def those_on(self, flag: str, users: Iterable[str]) -> set[str]:
        """Return the users for whom the flag is on."""
        ...


class _OpenFeatureApplication:
    def __init__(self, domain: str) -> None:
        self._client = api.get_client(domain)

    def those_on(self, flag: str, users: Iterable[str]) -> set[str]:
        on = set()
        for user in users:
            details = self._client.get_boolean_details(flag, True, EvaluationContext(user))  # noqa: FBT003
            assert details.error_code is None, details.error_message
            if details.value:
                on.add(user)
        return on


class _UnleashApplication:
    def __init__(self, client: UnleashClient) -> None:
        self._client = client

    def those_on(self, flag: str, users: Iterable[str]) -> set[str]:
        return {
            user
            for user in users
            if self._client.is_enabled(flag, {"userId": user}, fallback_function=lambda *_: True)
        }


@contextmanager
def ofrep_application(url: str) -> Iterator[Application]:
    """Evaluate over OFREP, one request for each user."""
    provider = OFREPProvider(url)
    # Looking for proxies and passwords in files at each request takes a third of it.
    provider.session.trust_env = False
    with _open(provider) as application:
        yield application


@contextmanager
def flagd_application(file: Path) -> Iterator[Application]:
    """Evaluate in the process, from flagd's definition file."""
    provider = FlagdProvider(
        resolver_type=ResolverType.FILE, offline_flag_source_path=str(file), deadline_ms=200
    )
    with _open(provider) as application:
        yield application


@contextmanager
def unleash_application(url: str, cache: Path) -> Iterator[Application]:
    """Evaluate in the process, on what Unleash answers four times a second."""
    client = UnleashClient(
        f"{url}/api",
        "governor-tests",
        instance_id=uuid4().hex,
        custom_headers={"Authorization": CLIENT_TOKEN},
        refresh_interval=_REFRESH_S,  # type: ignore[arg-type] # whole seconds are only its habit
        disable_metrics=True,
        disable_registration=True,
        cache_directory=str(cache),
        verbose_log_level=logging.WARNING,
    )
    client.initialize_client()
    try:
        yield _UnleashApplication(client)
    finally:
        client.destroy()


@contextmanager
def _open(provider: FeatureProvider) -> Iterator[Application]:
    domain = uuid4().hex
    api.set_provider_and_wait(provider, domain)
    try:
        yield _OpenFeatureApplication(domain)
    finally:
        provider.shutdown()
