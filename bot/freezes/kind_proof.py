"""What proves that a change is of a kind that the policy exempts. Pure.

A change that only calls itself `security` proves nothing. An advisory proves that a change is a security
change, an open incident of the service that it is urgent; a label that a member of the named team has set
proves what it says, and is vouched for by the gate of the forge.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

_ADVISORY = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}|GHSA(-[23456789cfghjmpqrvwx]{4}){3}", re.IGNORECASE)
_INCIDENT = re.compile(r"(?:incident[ #-]*|inc-|#)([0-9]{1,15})", re.IGNORECASE)
SECURITY = "security"
"""The kind of change that an advisory proves."""

HOW_TO_PROVE = (
    "prove it by an advisory (CVE-… or GHSA-…, for security changes) or an open incident (incident 12), or "
    "ask for an exemption"
)


class ProofSort(StrEnum):
    """What a proof is."""

    ADVISORY = "advisory"
    INCIDENT = "incident"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class KindProof:
    """What proves the kind of a change: an advisory's id, an incident, or who set a label."""

    sort: ProofSort
    text: str


def named_advisory(text: str) -> str | None:
    """Return the advisory that a text names, as such ids are written; None if it names none."""
    word = text.strip()
    if not _ADVISORY.fullmatch(word):
        return None
    return word.upper() if word[:3].casefold() == "cve" else f"GHSA{word[4:].lower()}"


def named_incident(text: str) -> int | None:
    """Return the number of the incident that a text names; None if it names none."""
    found = _INCIDENT.fullmatch(text.strip())
    return int(found[1]) if found else None
