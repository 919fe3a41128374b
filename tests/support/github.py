"""GitHub's deliveries: its published example, changed as a test needs, signed as GitHub signs."""

import copy
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.running_bot import GITHUB_SECRET, TOKEN, RunningBot

SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
_EXAMPLE = json.loads((Path(__file__).parent / "published" / "deployment_status.json").read_text())
_CHANGES: dict[str, dict[str, Any]] = {
    "deployment": {"sha": SHA, "ref": "main", "created_at": "2026-11-23T09:00:00Z"},
    "deployment_status": {"created_at": "2026-11-23T09:01:30Z", "target_url": "https://ci.example/42"},
    "repository": {"full_name": "Acme/Checkout", "html_url": "https://github.com/Acme/Checkout"},
}


def delivery(*, of: dict[str, Any] | None = None, **status: object) -> dict[str, Any]:
    """Return the event; `status` changes its `deployment_status`, `of` its `deployment`."""
    body: dict[str, Any] = copy.deepcopy(_EXAMPLE)
    for part, values in _CHANGES.items():
        body[part] |= values
    body["deployment"] |= of or {}
    body["deployment_status"] |= status
    return body


async def deliver(
    running_bot: RunningBot,
    body: object,
    *,
    secret: str | None = GITHUB_SECRET,
    event: str = "deployment_status",
    token: str | None = None,
) -> tuple[int, dict[str, Any]]:
    """Post a delivery, signed or with a token; return the status and the JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-GitHub-Event": event}
    if secret is not None:
        headers["X-Hub-Signature-256"] = f"sha256={hmac.digest(secret.encode(), raw, hashlib.sha256).hex()}"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    url = f"{running_bot.url}/webhooks/github"
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def api(
    running_bot: RunningBot, method: str, path: str, token: str = TOKEN, **options: Any
) -> tuple[int, Any]:
    """Call the API; return the status, and the JSON or text."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{running_bot.url}/api/v1/{path}", **options) as answer,
    ):
        is_json = answer.content_type.endswith("json")
        return answer.status, await (answer.json(content_type=None) if is_json else answer.text())
