"""Faults that stand-ins of flag systems answer with on demand."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Fault:
    """One answer to give instead of the right one.

    `after_writing`: the request is carried out first; `stall_s`: the answer comes that much later.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    after_writing: bool = False
    hang_up: bool = False
    stall_s: float = 0.0


class Faults:
    """The faults to come, for requests of one method."""

    def __init__(self) -> None:
        self._next: list[tuple[str, Fault]] = []
        self._later: list[tuple[Sequence[str], str, Fault]] = []
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []

    def add(self, method: str, fault: Fault, *, times: int = 1, after: Sequence[str] = ()) -> None:
        """Return the next requests of this method with the fault, once one of the methods `after` came."""
        if after:
            self._later.append((after, method, fault))
        else:
            self._next += [(method, fault)] * times

    @web.middleware
    async def middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Return with the fault that is due, if one is."""
        self.requests.append((request.method, request.path_qs, dict(request.headers)))
        self._next += [(method, fault) for after, method, fault in self._later if request.method in after]
        self._later = [one for one in self._later if request.method not in one[0]]
        due = next((one for one in self._next if one[0] == request.method), None)
        if due is None:
            answer: web.StreamResponse = await handler(request)
            return answer
        self._next.remove(due)
        fault = due[1]
        if fault.after_writing:
            await handler(request)
        if fault.hang_up:
            assert request.transport is not None
            request.transport.close()
            await asyncio.sleep(0)
        await asyncio.sleep(fault.stall_s)
        text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
        return web.Response(status=fault.status, text=text, headers=fault.headers)
