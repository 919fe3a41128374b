"""files.*: uploads in three steps, as Slack requires since files.upload was removed."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Channel, File, Json, Message
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_ID


def get_upload_url(call: ApiCall) -> Json:
    """files.getUploadURLExternal, the first step: return a URL for the file's content."""
    size = call.integer("length", 0)
    if size <= 0:
        raise FakeSlackError("invalid_arguments", ["[ERROR] length must be more than 0"])
    name = call.text("filename")
    workspace = call.workspace
    file = File(workspace.new_id("F"), name, name, size, call.actor, workspace.now())
    workspace.files[file.id] = file
    return {"upload_url": f"{call.platform.base_url}/slack-upload/{file.id}", "file_id": file.id}


def _share(call: ApiCall, channel: Channel, files: list[File]) -> None:
    call.workspace.must_be_member(channel, call.actor)
    message = Message(
        call.workspace.new_ts(),
        call.actor,
        call.text("initial_comment"),
        blocks=call.blocks(),
        bot_id=BOT_ID,
        app_id=APP_ID,
        thread_ts=call.text("thread_ts") or None,
        subtype="file_share",
        files=[file.as_json(call.platform.base_url) for file in files],
    )
    for file in files:
        file.shared_in.append(channel.id)
    call.workspace.post(channel, message)


def complete_upload(call: ApiCall) -> Json:
    """files.completeUploadExternal, the last step: set titles and share the files."""
    rows = call.json("files", "invalid_arguments")
    if not isinstance(rows, list) or not rows:
        raise FakeSlackError("invalid_arguments", ["[ERROR] files must be a list"])
    channels = [*call.strings("channels"), *call.strings("channel_id")]
    destinations = [call.workspace.channel(channel, call.actor) for channel in channels]
    uploaded: list[File] = []
    for row in rows:
        file = call.workspace.files.get(str(row.get("id")))
        if file is None or not file.is_uploaded:
            raise FakeSlackError("file_not_found")
        file.title = str(row.get("title") or file.name)
        file.is_complete = True
        uploaded.append(file)
    for destination in destinations:
        _share(call, destination, uploaded)
    return {"files": [file.as_json(call.platform.base_url) for file in uploaded]}


def info(call: ApiCall) -> Json:
    """files.info."""
    file = call.workspace.files.get(call.text("file"))
    if file is None or not file.is_complete:
        raise FakeSlackError("file_not_found")
    return {"file": file.as_json(call.platform.base_url), "comments": []}


METHODS: Final[dict[str, Method]] = {
    "files.completeUploadExternal": complete_upload,
    "files.getUploadURLExternal": get_upload_url,
    "files.info": info,
}
