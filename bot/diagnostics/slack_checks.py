"""Whether a workspace is ready for the bot: token, scopes, clock, channels, user groups, people."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.diagnostics.findings import Finding, fault, ok, skipped
from bot.diagnostics.slack_samples import specimens
from bot.slack.manifest import bot_scopes
from bot.slack.permissions import is_channel
from bot.slack.webapi.errors import SlackError, translate_slack_errors
from bot.slack.webapi.members import channel_members

TOKEN = "SLACK_BOT_TOKEN"  # noqa: S105 - its name, not itself
MOST_SKEW = timedelta(seconds=60)
"""How far the clocks may be apart. Slack's requests are refused at five minutes."""

_PAGE = 999
_REINSTALL = "paste the output of `governor manifest` into the app's manifest and install the app again"
_SLACK_DOWN = "see https://slack-status.com and whether this machine reaches SLACK_API_URL"


class SlackChecks:
    """Asks Slack through `client`. Every question that fails is a finding, never an exception.

    `subject` is what the client's token is called, `mend` how another is had, if not from the app's page.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        app_token: str | None = None,
        *,
        subject: str = TOKEN,
        mend: str | None = None,
    ) -> None:
        self._client = client
        self._app_token = app_token
        self._subject = subject
        self._mend = mend

    async def connection(self, now: datetime, *, team: str | None = None) -> list[Finding]:
        """Return whether the tokens are good, the scopes complete and the clocks together.

        With `team`, also whether the token is that workspace's.
        """
        try:
            async with translate_slack_errors():
                answer = await self._client.auth_test()
        except SlackError as error:
            fix = _token_fix(error, "Bot User OAuth Token", self._mend)
            return [fault("token", self._subject, error.error, fix)]
        if team is not None and answer["team_id"] != team:
            words = f"of {answer['team']} ({answer['team_id']}), while the policies say `team: {team}`"
            return [fault("token", self._subject, words, "correct `team`, or take that workspace's token")]
        found = [
            ok("token", self._subject, f"{answer['user']} in {answer['team']}"),
            _scopes(answer),
            _skew(answer, now),
        ]
        if self._app_token is not None:
            found.append(await self._socket(self._app_token))
        return [*found, *await self._blocks(now)]

    async def channels(self, wanted: Mapping[str, str]) -> list[Finding]:
        """Return whether the bot is in each channel; `wanted` says what each is for."""
        try:
            known = await self._channels()
        except SlackError as error:
            return [fault("channels", "all", error.error, _REINSTALL if _is_scope(error) else _SLACK_DOWN)]
        return [_channel(address, use, known.get(address)) for address, use in wanted.items()]

    async def people(self, entries: Collection[str]) -> list[Finding]:
        """Return whether each `@group` and `#channel` has members, and each `U…` is there and active."""
        handles = sorted({entry for entry in entries if entry.startswith("@")})
        rooms = sorted({entry for entry in entries if is_channel(entry)})
        persons = sorted({entry for entry in entries if entry.startswith(("U", "W"))})
        found = await self._groups(handles) if handles else []
        found += await self._rooms(rooms) if rooms else []
        return found + [await self._person(user) for user in persons]

    async def _socket(self, token: str) -> Finding:
        try:
            async with translate_slack_errors():
                await self._client.apps_connections_open(app_token=token)
        except SlackError as error:
            fix = _token_fix(error, "app-level token with connections:write")
            return fault("token", "SLACK_APP_TOKEN", error.error, fix)
        return ok("token", "SLACK_APP_TOKEN", "Socket Mode opens")

    async def _blocks(self, now: datetime) -> list[Finding]:
        """Return what Slack says of one of each kind of message, form and home tab."""
        shown = specimens(now)
        found: list[Finding] = []
        for one in shown:
            try:
                async with translate_slack_errors():
                    await self._client.api_call("blocks.validate", data={one.kind: json.dumps(one.shown)})
            except SlackError as error:
                if error.error == "unknown_method":
                    return [skipped("blocks", "messages", "this Slack has no blocks.validate")]
                if error.retryable:
                    rest = f"{error.error}: {len(shown) - shown.index(one)} of {len(shown)} not looked at"
                    return [*found, skipped("blocks", "messages", rest)]
                reason = " ".join([error.error, *error.details])
                fix = "report it with the version of Governor: Slack refuses what this one would send"
                found.append(fault("blocks", one.name, reason, fix))
        return found or [ok("blocks", "messages", f"Slack accepts one of each kind, {len(shown)} in all")]

    async def _channels(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the channels that the bot sees, by `#name` and by id."""
        found: list[Mapping[str, Any]] = []
        cursor = ""
        while True:
            async with translate_slack_errors():
                answer = await self._client.conversations_list(
                    types="public_channel,private_channel", limit=_PAGE, cursor=cursor
                )
            found += answer["channels"]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor:
                break
        return {f"#{one['name']}": one for one in found} | {str(one["id"]): one for one in found}

    async def _groups(self, handles: Iterable[str]) -> list[Finding]:
        try:
            async with translate_slack_errors():
                answer = await self._client.usergroups_list(include_users=True, include_disabled=True)
        except SlackError as error:
            fix = _REINSTALL if _is_scope(error) else "list people (U…) where the plan has no user groups"
            return [fault("groups", handle, error.error, fix) for handle in handles]
        groups = {str(group["handle"]).casefold(): group for group in answer["usergroups"]}
        return [_group(handle, groups.get(handle.removeprefix("@").casefold())) for handle in handles]

    async def _rooms(self, addresses: Sequence[str]) -> list[Finding]:
        try:
            known = await self._channels()
        except SlackError as error:
            fix = _REINSTALL if _is_scope(error) else _SLACK_DOWN
            return [fault("members", address, error.error, fix) for address in addresses]
        return [await self._members(address, known.get(address)) for address in addresses]

    async def _members(self, address: str, channel: Mapping[str, Any] | None) -> Finding:
        if channel is None:
            fix = f"type /invite @Governor in {address}, or correct the policies"
            return fault("members", address, "not found, so nobody has its rights", fix)
        try:
            async with translate_slack_errors():
                people = await channel_members(self._client, str(channel["id"]))
        except SlackError as error:
            fix = _REINSTALL if _is_scope(error) else f"type /invite @Governor in {address}"
            return fault("members", address, error.error, fix)
        open_to_all = "" if channel.get("is_private") else "; anyone may join it and so gain its rights"
        return ok("members", address, f"{len(people)} people{open_to_all}")

    async def _person(self, user: str) -> Finding:
        fix = "correct the id in the policies: a profile's menu has *Copy member ID*"
        try:
            async with translate_slack_errors():
                answer = await self._client.users_info(user=user)
        except SlackError as error:
            return fault("people", user, error.error, fix)
        if answer["user"].get("deleted"):
            return fault("people", user, "deactivated", "take them out of the policies")
        return ok("people", user, str(answer["user"].get("name", "")))


def _scopes(answer: AsyncSlackResponse) -> Finding:
    header = _header(answer, "x-oauth-scopes")
    if header is None:
        return skipped("scopes", "bot", "Slack did not say which the token has")
    granted = {scope.strip() for scope in header.split(",") if scope.strip()}
    missing = sorted(set(bot_scopes()) - granted)
    surplus = sorted(granted - set(bot_scopes()))
    if missing:
        return fault("scopes", "bot", f"missing: {', '.join(missing)}", _REINSTALL)
    return ok("scopes", "bot", f"more than needed: {', '.join(surplus)}" if surplus else "as in the manifest")


def _skew(answer: AsyncSlackResponse, now: datetime) -> Finding:
    try:
        theirs = parsedate_to_datetime(_header(answer, "date") or "").astimezone(UTC)
    except ValueError:
        return skipped("clock", "this machine", "Slack did not say what time it is")
    skew = now - theirs
    words = f"{abs(skew).total_seconds():.0f} s {'ahead of' if skew > timedelta() else 'behind'} Slack"
    if abs(skew) > MOST_SKEW:
        return fault("clock", "this machine", words, "start time synchronisation, such as chrony")
    return ok("clock", "this machine", words)


def _header(answer: AsyncSlackResponse, name: str) -> str | None:
    return next((str(value) for key, value in answer.headers.items() if key.casefold() == name), None)


def _channel(address: str, use: str, channel: Mapping[str, Any] | None) -> Finding:
    if channel is None:
        return fault(
            "channels", address, f"{use}: not found", f"create {address}, or invite the bot if it is private"
        )
    if channel.get("is_archived"):
        return fault("channels", address, f"{use}: archived", "restore it, or name another in the policies")
    if not channel.get("is_member"):
        return fault(
            "channels", address, f"{use}: the bot is not in it", f"type /invite @Governor in {address}"
        )
    return ok("channels", address, use)


def _group(handle: str, group: Mapping[str, Any] | None) -> Finding:
    if group is None:
        return fault("groups", handle, "no such user group", "create it, or correct the policies")
    if group.get("date_delete"):
        return fault("groups", handle, "disabled", "enable it, or name another in the policies")
    if not group.get("users"):
        return fault("groups", handle, "nobody is in it", "add its people")
    return ok("groups", handle, f"{len(group['users'])} people")


def _is_scope(error: SlackError) -> bool:
    return error.error == "missing_scope"


def _token_fix(error: SlackError, which: str, mend: str | None = None) -> str:
    from_slack = "connection" not in error.error and "timeout" not in error.error
    refused = from_slack and not error.error.startswith(("http_", "not_connected"))
    if not refused:
        return _SLACK_DOWN
    return mend or f"copy the {which} from the app's page at api.slack.com/apps"
