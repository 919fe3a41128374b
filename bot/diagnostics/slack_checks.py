"""Checks of one Slack workspace: token, scopes, clock, channels, user groups, people, messages."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.diagnostics.channel_list import MANY_PAGES, FoundChannels, find_channels
from bot.diagnostics.findings import Finding, fault, ok, skipped
from bot.diagnostics.slack_samples import SlackSample, slack_samples
from bot.slack.blockkit.tables import TABLE
from bot.slack.manifest import bot_scopes, link_domain
from bot.slack.permissions import is_channel
from bot.slack.webapi.accounts import AccountKind, Accounts
from bot.slack.webapi.errors import RateLimitedError, SlackError, SlackRefusedError, translate_slack_errors
from bot.slack.webapi.members import channel_members
from bot.slack.webapi.new_blocks import CHART, new_kinds, without
from bot.slack.webapi.user_groups import PLAN_HAS_NONE
from bot.store.outbox import Block

TOKEN = "SLACK_BOT_TOKEN"  # noqa: S105 - the variable's name
MAX_SKEW = timedelta(seconds=60)
"""How far the clocks may differ. Requests of Slack are refused at five minutes."""

_REINSTALL = "paste the output of `governor manifest` into the app's manifest and install the app again"
_ADVICE = (
    "more than {channels} channels, so Slack takes minutes to say which of them the {names} names mean: "
    "write ids (C…) into the policies, which a channel's details show at the bottom"
)
_UNREAD = (
    "not among the first {channels} channels, and no app may read more at a time: write its id (C…) "
    "into the policies"
)
_NOT_THERE_YET = {
    CHART: ("charts", "not in this workspace yet: Slack rolls them out in phases, and messages come without"),
    TABLE: ("tables", "not in this workspace yet: Slack rolls them out in phases, and lists come as lines"),
}
_NO_GROUPS = (
    "this Slack plan has no user groups: name people (U…) or a private channel in the policies instead"
)
_BUSY = "too many requests in the last minute: try again in a minute"
_SLACK_DOWN = "see https://slack-status.com and whether this machine reaches SLACK_API_URL"


class SlackChecks:
    """Checks a workspace through `client`. A request that fails is a finding, never an exception.

    `subject` names the client's token in findings; `token_fix`, if given, says how to replace it. With an
    `address`, links below it are to show in Slack what they lead to.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        app_token: str | None = None,
        *,
        subject: str = TOKEN,
        token_fix: str | None = None,
        address: str | None = None,
    ) -> None:
        self._client = client
        self._accounts = Accounts(client)
        self._app_token = app_token
        self._subject = subject
        self._token_fix = token_fix
        self._address = address

    async def connection(self, now: datetime, *, team: str | None = None) -> list[Finding]:
        """Check the tokens, the scopes, the difference between the clocks, and the sample messages.

        With `team`, also check that the token belongs to that workspace.
        """
        try:
            async with translate_slack_errors():
                response = await self._client.auth_test()
        except SlackError as error:
            fix = _token_fix(error, "Bot User OAuth Token", self._token_fix)
            return [fault("token", self._subject, error.error, fix)]
        name = response.get("team") or response["team_id"]
        if team is not None and response["team_id"] != team:
            detail = f"of {name} ({response['team_id']}), while the policies say `team: {team}`"
            return [fault("token", self._subject, detail, "correct `team`, or take that workspace's token")]
        findings = [
            ok("token", self._subject, f"{response.get('user') or response['user_id']} in {name}"),
            _scopes(response),
            *_links(response, self._address),
            _skew(response, now),
        ]
        if self._app_token is not None:
            findings.append(await self._socket(self._app_token))
        return [*findings, *await self._blocks(now)]

    async def channels(self, uses: Mapping[str, str]) -> list[Finding]:
        """Check that the bot is in each channel; `uses` says what each is for."""
        try:
            found = await find_channels(self._client, uses)
        except RateLimitedError:
            return [skipped("channels", address, _BUSY) for address in uses]
        except SlackError as error:
            return [fault("channels", "all", error.error, _REINSTALL if _lacks_scope(error) else _SLACK_DOWN)]
        findings = [_channel(address, use, found) for address, use in uses.items()]
        names = sum(address.startswith("#") for address in uses)
        if names and found.pages > MANY_PAGES:
            findings.append(skipped("channels", "names", _ADVICE.format(channels=found.rows, names=names)))
        return findings

    async def people(self, entries: Collection[str]) -> list[Finding]:
        """Check that each `@group` and `#channel` has members, and that each `U…` exists and is active."""
        handles = sorted({entry for entry in entries if entry.startswith("@")})
        channels = sorted({entry for entry in entries if is_channel(entry)})
        users = sorted({entry for entry in entries if entry.startswith(("U", "W"))})
        findings = await self._groups(handles) if handles else []
        findings += await self._channel_members(channels) if channels else []
        return findings + [await self._person(user) for user in users]

    async def _socket(self, token: str) -> Finding:
        try:
            async with translate_slack_errors():
                await self._client.apps_connections_open(app_token=token)
        except SlackError as error:
            fix = _token_fix(error, "app-level token with connections:write")
            return fault("token", "SLACK_APP_TOKEN", error.error, fix)
        return ok("token", "SLACK_APP_TOKEN", "Socket Mode opens")

    async def _blocks(self, now: datetime) -> list[Finding]:
        """Check with Slack the sample messages, modals and home tabs."""
        samples = slack_samples(now)
        findings: list[Finding] = []
        lacking: dict[str, Finding] = {}
        for sample in samples:
            try:
                for kind in await self._refused_kinds(sample):
                    lacking[kind] = skipped("blocks", *_NOT_THERE_YET[kind])
            except SlackError as error:
                if error.error == "unknown_method":
                    return [skipped("blocks", "messages", "this Slack has no blocks.validate")]
                if error.retryable:
                    remaining = len(samples) - samples.index(sample)
                    detail = f"{error.error}: {remaining} of {len(samples)} not checked"
                    return [*findings, *lacking.values(), skipped("blocks", "messages", detail)]
                reason = ": ".join(filter(None, [error.error, "; ".join(error.details)]))
                fix = "report it with the version of Governor: Slack refuses what this one would send"
                findings.append(fault("blocks", sample.name, reason, fix))
        accepted = ok("blocks", "messages", f"Slack accepts all {len(samples)} kinds")
        return [*(findings or [accepted]), *lacking.values()]

    async def _refused_kinds(self, sample: SlackSample) -> Collection[str]:
        """Return the types of new blocks without which alone Slack accepts a sample; none if it does anyway.

        Raises `SlackError` if it is refused both ways.
        """
        try:
            await self._validate(sample.kind, sample.content)
        except SlackRefusedError as refusal:
            blocks = sample.content["blocks"]
            kinds = new_kinds(blocks)
            if not kinds:
                raise
            try:
                await self._validate(sample.kind, sample.content | {"blocks": without(blocks, kinds)})
            except SlackRefusedError:
                raise refusal from None
            return kinds
        return ()

    async def _validate(self, kind: str, content: Block) -> None:
        async with translate_slack_errors():
            await self._client.api_call("blocks.validate", data={kind: json.dumps(content)})

    async def _groups(self, handles: Iterable[str]) -> list[Finding]:
        try:
            async with translate_slack_errors():
                response = await self._client.usergroups_list(include_users=True, include_disabled=True)
        except SlackError as error:
            fix = (
                _REINSTALL
                if _lacks_scope(error)
                else _NO_GROUPS
                if error.error == PLAN_HAS_NONE
                else _SLACK_DOWN
            )
            return [fault("groups", handle, error.error, fix) for handle in handles]
        groups = {str(group["handle"]).casefold(): group for group in response["usergroups"]}
        return [_group(handle, groups.get(handle.removeprefix("@").casefold())) for handle in handles]

    async def _channel_members(self, addresses: Sequence[str]) -> list[Finding]:
        try:
            found = await find_channels(self._client, addresses)
        except RateLimitedError:
            return [skipped("members", address, _BUSY) for address in addresses]
        except SlackError as error:
            fix = _REINSTALL if _lacks_scope(error) else _SLACK_DOWN
            return [fault("members", address, error.error, fix) for address in addresses]
        return [await self._members(address, found) for address in addresses]

    async def _members(self, address: str, found: FoundChannels) -> Finding:
        channel = found.channels.get(address)
        if found.is_unknown(address):
            return skipped("members", address, _UNREAD.format(channels=found.rows))
        if channel is None:
            fix = f"type /invite @Governor in {address}, or correct the policies"
            return fault("members", address, "not found, so nobody gets its rights", fix)
        try:
            async with translate_slack_errors():
                people = await channel_members(self._client, str(channel["id"]))
        except SlackError as error:
            fix = _REINSTALL if _lacks_scope(error) else f"type /invite @Governor in {address}"
            return fault("members", address, error.error, fix)
        note = "" if channel.get("is_private") else "; anyone may join it and gain its rights"
        return ok("members", address, f"{len(people)} people{note}")

    async def _person(self, user: str) -> Finding:
        fix = "correct the id in the policies: a profile's menu has *Copy member ID*"
        try:
            async with translate_slack_errors():
                response = await self._client.users_info(user=user)
            kind = await self._accounts.kind(user)
        except SlackError as error:
            return fault("people", user, error.error, fix)
        if kind in {AccountKind.DEACTIVATED, AccountKind.BOT}:
            return fault("people", user, kind.value, "remove them from the policies")
        name = str(response["user"].get("name", ""))
        if kind is AccountKind.MEMBER:
            return ok("people", user, name)
        return ok(
            "people", user, f"{name}, {kind.value}: has rights only where `permissions.guests` allows it"
        )


def _scopes(response: AsyncSlackResponse) -> Finding:
    granted = _granted(response)
    if granted is None:
        return skipped("scopes", "bot", "Slack did not say which scopes the token has")
    missing = sorted(set(bot_scopes()) - granted)
    surplus = sorted(granted - set(bot_scopes(links=True)))
    if missing:
        return fault("scopes", "bot", f"missing: {', '.join(missing)}", _REINSTALL)
    return ok("scopes", "bot", f"more than needed: {', '.join(surplus)}" if surplus else "as in the manifest")


def _links(response: AsyncSlackResponse, address: str | None) -> list[Finding]:
    """Return whether links below the bot's address show in Slack, as far as the token says it."""
    granted = _granted(response)
    host = link_domain(address)
    if host is None or granted is None:
        return []
    missing = sorted(set(bot_scopes(links=True)) - set(bot_scopes()) - granted)
    if missing:
        how = f"to change it, paste the output of `governor manifest --url {address}` into the app's manifest"
        detail = f"shown without a preview: the app lacks {' and '.join(missing)}; {how} and reinstall"
        return [skipped("links", host, detail)]
    return [ok("links", host, "previews are allowed; the app's manifest must have this domain")]


def _granted(response: AsyncSlackResponse) -> set[str] | None:
    header = _header(response, "x-oauth-scopes")
    return None if header is None else {scope.strip() for scope in header.split(",") if scope.strip()}


def _skew(response: AsyncSlackResponse, now: datetime) -> Finding:
    try:
        slack_time = parsedate_to_datetime(_header(response, "date") or "").astimezone(UTC)
    except ValueError:
        return skipped("clock", "this machine", "Slack did not say what time it is")
    skew = now - slack_time
    detail = f"{abs(skew).total_seconds():.0f} s {'ahead of' if skew > timedelta() else 'behind'} Slack"
    if abs(skew) > MAX_SKEW:
        return fault("clock", "this machine", detail, "start time synchronisation, such as chrony")
    return ok("clock", "this machine", detail)


def _header(response: AsyncSlackResponse, name: str) -> str | None:
    return next((str(value) for key, value in response.headers.items() if key.casefold() == name), None)


def _channel(address: str, use: str, found: FoundChannels) -> Finding:
    channel = found.channels.get(address)
    if found.is_unknown(address):
        return skipped("channels", address, f"{use}: {_UNREAD.format(channels=found.rows)}")
    if channel is None:
        return fault(
            "channels",
            address,
            f"{use}: not found",
            f"create {address}, or invite the bot if it is private",
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
        return fault(
            "groups",
            handle,
            "no such user group",
            "create it, or name people (U…) or a private channel instead",
        )
    if group.get("date_delete"):
        return fault("groups", handle, "disabled", "enable it, or name another in the policies")
    if not group.get("users"):
        return fault("groups", handle, "nobody is in it", "add its people")
    return ok("groups", handle, f"{len(group['users'])} people")


def _lacks_scope(error: SlackError) -> bool:
    return error.error == "missing_scope"


def _token_fix(error: SlackError, token_name: str, fix: str | None = None) -> str:
    answered = "connection" not in error.error and "timeout" not in error.error
    refused = answered and not error.error.startswith(("http_", "not_connected"))
    if not refused:
        return _SLACK_DOWN
    return fix or f"copy the {token_name} from the app's page at api.slack.com/apps"
