"""The addresses of incidents and services that people paste, below the bot's public address. Pure.

`https://governor.example/incidents/12`, `/incidents/INC-12`, `/services/checkout`, and those of the API.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

_PORTS = {"https": 443, "http": 80}
_INCIDENT = re.compile(
    r"/(?:api/v1/)?incidents/(?:INC-)?([0-9]{1,15})(?:/postmortem\.md)?/?", re.IGNORECASE | re.ASCII
)
_SERVICE = re.compile(r"/(?:api/v1/)?services/([^/]{1,200})/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LinkedIncident:
    """An incident that a link leads to."""

    id: int


@dataclass(frozen=True, slots=True)
class LinkedService:
    """A service that a link leads to; perhaps there is none of that name."""

    name: str


class LinkAddresses:
    """Writes and reads addresses below `base`; without one there are none."""

    def __init__(self, base: str | None = None) -> None:
        self._base = (base or "").rstrip("/")
        self._parts = urlsplit(self._base)

    def incident(self, id_: int) -> str | None:
        """Return the address of an incident, None without a public address."""
        return f"{self._base}/incidents/{id_}" if self._base else None

    def service(self, name: str) -> str | None:
        """Return the address of a service, None without a public address."""
        return f"{self._base}/services/{quote(name, safe='')}" if self._base else None

    def calendar(self, rotation: str, secret: str) -> str | None:
        """Return the address of a rotation's calendar, None without a public address."""
        query = f"token={quote(secret, safe='')}"
        return f"{self._base}/rotations/{quote(rotation, safe='')}.ics?{query}" if self._base else None

    def read(self, url: str) -> LinkedIncident | LinkedService | None:
        """Return what an address leads to; None for every other address."""
        try:
            parts = urlsplit(url)
            is_own = bool(self._base) and _origin(parts) == _origin(self._parts)
        except ValueError:
            return None
        if not is_own or not parts.path.startswith(f"{self._parts.path}/"):
            return None
        path = parts.path.removeprefix(self._parts.path)
        if match := _INCIDENT.fullmatch(path):
            return LinkedIncident(int(match[1]))
        if match := _SERVICE.fullmatch(path):
            return LinkedService(unquote(match[1]))
        return None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    scheme = parts.scheme.casefold()
    return scheme, parts.hostname, parts.port or _PORTS.get(scheme)
