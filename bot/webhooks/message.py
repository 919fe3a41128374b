"""What is sent of an event, and its signatures as Standard Webhooks says. Pure; no clock, no I/O.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime

from bot.store.audit import AuditRow

_PREFIX = "whsec_"
_ID_LENGTH = 32


def event_id(row: AuditRow) -> str:
    """Return what tells an event from all others, also of other installations."""
    digest = row.hash or hashlib.sha256(f"{row.id} {row.at.isoformat()}".encode()).hexdigest()
    return f"evt_{digest[:_ID_LENGTH]}"


def body_of(row: AuditRow) -> bytes:
    """Return the body of an event: its type, when it happened, and what the audit log says of it."""
    entry = row.entry
    content = {
        "type": entry.action,
        "timestamp": _instant(row.at),
        "data": {
            "id": row.id,
            "service": entry.service,
            "subject": entry.subject,
            "actor": entry.actor,
            "reason": entry.reason,
            "before": None if entry.before is None else dict(entry.before),
            "after": None if entry.after is None else dict(entry.after),
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(id_: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the headers of one attempt: a signature for each secret."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join([id_.encode(), timestamp.encode(), body])
    signatures = [f"v1,{_sign(secret, signed)}" for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Governor",
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def fingerprint(url: str, secrets: Sequence[str]) -> str:
    """Return what changes when an endpoint's address or secrets do, and tells neither."""
    return hashlib.sha256("\n".join([url, *secrets]).encode()).hexdigest()


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
