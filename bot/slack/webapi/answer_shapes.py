"""What the bot reads of Slack's answers, by method: the one place where their shape is checked.

A shape is a type, a dictionary of shapes (a key that ends in `?` may be absent or null), or a list with the
shape of its rows. Rows that do not fit are left out, because one strange channel must not hide all others;
anything else that does not fit makes the whole answer unusable. Pure.
"""

from collections.abc import Mapping
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_ANYTHING: Mapping[str, Any] = {}
_CHANNEL = {"channel": {"id": str}}
_TAB: Mapping[str, Any] = {"data?": {}}
_PROPERTIES = {"canvas?": {}, "tabs?": [_TAB], "tabz?": [_TAB]}
_CURSOR = {"response_metadata?": {"next_cursor?": str}}
_CHANNELS = {"channels": [{"id": str, "name": str, "purpose?": {}}], **_CURSOR}
_MESSAGES = {
    "messages": [{"ts": str, "files?": [{}], "reactions?": [{}], "metadata?": {"event_payload?": {}}}],
    **_CURSOR,
}

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "apps.connections.open": {"url": str},
    "auth.revoke": _ANYTHING,
    "auth.test": {"user_id": str, "team_id": str},
    "blocks.validate": _ANYTHING,
    "canvases.edit": _ANYTHING,
    "chat.getPermalink": {"permalink": str},
    "chat.postEphemeral": _ANYTHING,
    "chat.postMessage": {"channel": str, "ts": str},
    "chat.unfurl": _ANYTHING,
    "chat.update": _ANYTHING,
    "conversations.archive": _ANYTHING,
    "conversations.canvases.create": _ANYTHING,
    "conversations.create": _CHANNEL,
    "conversations.history": _MESSAGES,
    "conversations.info": {"channel": {"id": str, "properties?": _PROPERTIES}},
    "conversations.invite": _ANYTHING,
    "conversations.join": _ANYTHING,
    "conversations.list": _CHANNELS,
    "conversations.members": {"members": [str], **_CURSOR},
    "conversations.open": _CHANNEL,
    "conversations.replies": _MESSAGES,
    "conversations.setPurpose": _ANYTHING,
    "conversations.setTopic": _ANYTHING,
    "entity.presentDetails": _ANYTHING,
    "files.completeUploadExternal": _ANYTHING,
    "files.getUploadURLExternal": {"upload_url": str, "file_id": str},
    "oauth.v2.access": {"access_token": str, "team?": {}, "enterprise?": {}, "authed_user?": {}},
    "pins.add": _ANYTHING,
    "usergroups.list": {"usergroups": [{"handle": str, "id?": str, "users?": [str]}]},
    "users.conversations": _CHANNELS,
    "users.info": {"user": {"profile?": {}, "enterprise_user?": {}}},
    "views.open": _ANYTHING,
    "views.publish": _ANYTHING,
}
"""The shape of each method's answer; every method that the bot calls is named here."""


def misfit(method: str, answer: object) -> str | None:
    """Return what an answer lacks, as a path such as `channel.id`; None if it is as documented.

    Rows of lists that do not fit are removed from the answer.
    """
    return _misfit(answer, SHAPES.get(method, _ANYTHING), "", method)


def _misfit(value: object, shape: object, path: str, method: str) -> str | None:
    if isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            return path or "object"
        return next(filter(None, (_field(value, key, shape[key], path, method) for key in shape)), None)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return path
        fitting = [row for row in value if _misfit(row, shape[0], path, method) is None]
        if len(fitting) < len(value):
            log.warning("slack_rows_left_out", method=method, of=path, rows=len(value) - len(fitting))
            value[:] = fitting
        return None
    return None if isinstance(shape, type) and isinstance(value, shape) else path


def _field(answer: Mapping[str, object], key: str, shape: object, path: str, method: str) -> str | None:
    name = key.removesuffix("?")
    if name != key and answer.get(name) is None:
        return None
    return _misfit(answer.get(name), shape, f"{path}.{name}".lstrip("."), method)
