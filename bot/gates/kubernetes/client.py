"""Talks to clusters through kubernetes_asyncio, the only module that knows it.

The library reads kubeconfig files and the pod's own account, runs what these name to log in, and renews
tokens. Answers are read here, up to a limit, and errors become those of `cluster.py`.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from bot.bounded_body import BodyTooLargeError, parse_json, quotable, read_body
from bot.catalog.clusters import ClusterSettings
from bot.gates.kubernetes.cluster import (
    FIELD_MANAGER,
    ClusterAwayError,
    ClusterError,
    ClusterRefusalError,
    KubernetesObject,
    ObjectChangedError,
    ObjectInvalidError,
    ObjectMissingError,
    PatchKind,
)

log = structlog.get_logger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_LIBRARY = "kubernetes_asyncio"
NOT_INSTALLED = "cannot be asked: install Governor's extra `kubernetes`, see docs/install.md"
_AWAY = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(slots=True)
class _Session:
    """Connections with one login; closed once nobody uses them, so that no request under way is cut off."""

    client: Any
    users: int = 0
    is_retired: bool = False

    async def close_if_unused(self) -> None:
        if self.is_retired and self.users == 0:
            await self.client.close()


class ClusterClient:
    """One cluster, reached as a kubeconfig file or the pod's account says; opened at the first question."""

    def __init__(self, settings: ClusterSettings, kubeconfig: Path | None) -> None:
        self._settings = settings
        self._kubeconfig = kubeconfig
        self._session: _Session | None = None
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        """What the policies call it."""
        return self._settings.name

    async def read(self, path: str) -> KubernetesObject:
        """Return an object, or a list of objects."""
        return await self._ask("GET", path)

    async def create(self, path: str, body: Mapping[str, Any]) -> KubernetesObject:
        """Create an object in a list, or ask a review; return it as it became."""
        return await self._ask("POST", f"{path}?fieldManager={FIELD_MANAGER}", body, "application/json")

    async def patch(self, path: str, kind: PatchKind, body: object) -> KubernetesObject:
        """Patch an object; return it as it became."""
        force = "&force=true" if kind is PatchKind.APPLY else ""
        return await self._ask("PATCH", f"{path}?fieldManager={FIELD_MANAGER}{force}", body, str(kind))

    async def close(self) -> None:
        """Close the connections; another question opens them again."""
        session, self._session = self._session, None
        if session is not None:
            session.is_retired = True
            await session.close_if_unused()

    async def _ask(
        self, method: str, path: str, body: object = None, media_type: str = ""
    ) -> KubernetesObject:
        for attempt in (1, 2):
            status, retry_after, text = await self._send(method, path, body, media_type)
            if status != 401 or attempt == 2:
                break
            # A token that a program handed out has run out: log in again, once.
            log.info("cluster_login_renewed", cluster=self.name)
            await self.close()
        if not 200 <= status < 300:
            raise self._error(status, retry_after, text)
        try:
            answer = parse_json(text)
        except ValueError as error:
            raise ClusterAwayError(self.name, "did not answer with JSON") from error
        if not isinstance(answer, dict):
            raise ClusterAwayError(self.name, "did not answer with an object")
        return answer

    async def _send(
        self, method: str, path: str, body: object, media_type: str
    ) -> tuple[int, str | None, bytes]:
        session = await self._open()
        session.users += 1
        try:
            return await self._exchange(session.client, method, path, body, media_type)
        finally:
            session.users -= 1
            await session.close_if_unused()

    async def _exchange(
        self, client: Any, method: str, path: str, body: object, media_type: str
    ) -> tuple[int, str | None, bytes]:
        headers = {"Accept": "application/json"}
        if media_type:
            headers["Content-Type"] = media_type
        try:
            await client.update_params_for_auth(headers, [], ["BearerToken"])
            response = await client.rest_client.pool_manager.request(
                method,
                f"{client.configuration.host.rstrip('/')}{path}",
                headers=headers,
                data=None if body is None else json.dumps(body),
                timeout=_TIMEOUT,
                allow_redirects=False,
                proxy=client.configuration.proxy,
                server_hostname=client.configuration.tls_server_name or None,
            )
            async with response:
                return response.status, response.headers.get("Retry-After"), await read_body(response)
        except _AWAY as error:
            raise ClusterAwayError(self.name, f"cannot be reached: {_words(error)}") from error
        except BodyTooLargeError as error:
            raise ClusterAwayError(self.name, "answered with more than is read") from error

    async def _open(self) -> "_Session":
        async with self._opening:
            if self._session is None:
                self._session = _Session(await self._log_in())
                log.info("cluster_opened", cluster=self.name, host=self._session.client.configuration.host)
            return self._session

    async def _log_in(self) -> Any:
        if find_spec(_LIBRARY) is None:
            raise ClusterRefusalError(self.name, NOT_INSTALLED)
        # It takes a second and 40 MB to import, which only those who need it pay.
        kubernetes = await asyncio.to_thread(_library)
        configuration = kubernetes.client.Configuration()
        file = self._kubeconfig
        try:
            if file is None and self._settings.context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
                kubernetes.config.load_incluster_config(client_configuration=configuration)
            else:
                await kubernetes.config.load_kube_config(
                    config_file=None if file is None else str(file),
                    context=self._settings.context,
                    client_configuration=configuration,
                    persist_config=False,
                )
            return kubernetes.client.ApiClient(configuration)
        except (kubernetes.config.ConfigException, OSError, ValueError, KeyError, TypeError) as error:
            raise ClusterRefusalError(self.name, f"cannot be asked: {_words(error)}") from error

    def _error(self, status: int, retry_after: str | None, body: bytes) -> ClusterError:
        problem = f"answered {status}: {_message(body)}"
        match status:
            case 401 | 403:
                return ClusterRefusalError(self.name, problem)
            case 404:
                return ObjectMissingError(self.name, problem)
            case 409:
                return ObjectChangedError(self.name, problem)
            case 422 if "test operation" in problem or "testing value" in problem:
                # A JSON patch whose condition does not hold.
                return ObjectChangedError(self.name, problem)
            case 400 | 413 | 415 | 422:
                return ObjectInvalidError(self.name, problem)
        return ClusterAwayError(self.name, problem, _seconds(retry_after))


def _library() -> Any:
    import kubernetes_asyncio  # noqa: PLC0415 - an optional extra, and slow to import
    import kubernetes_asyncio.client  # noqa: PLC0415
    import kubernetes_asyncio.config  # noqa: PLC0415

    return kubernetes_asyncio


def _message(body: bytes) -> str:
    """Return the message of a Status object; what else was answered, shortened."""
    try:
        status = parse_json(body)
    except ValueError:
        status = None
    message = status.get("message") if isinstance(status, dict) else None
    return quotable(message if isinstance(message, str) else body[:600].decode(errors="replace"))


def _words(error: BaseException) -> str:
    return quotable(str(error)) or type(error).__name__


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else None
