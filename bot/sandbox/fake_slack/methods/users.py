"""users.*, usergroups.*, bots.*, team.*, auth.* and api.*."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Json
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_ID, BOT_USER_ID


def api_test(call: ApiCall) -> Json:
    """api.test: return the arguments, or the error that they ask for."""
    if call.text("error"):
        raise FakeSlackError(call.text("error"), args=call.args)
    return {"args": call.args}


def auth_test(call: ApiCall) -> Json:
    """auth.test."""
    return {
        "url": f"{call.platform.base_url}/",
        "team": call.workspace.team_name,
        "user": call.workspace.users[call.actor].name,
        "team_id": call.workspace.team_id,
        "user_id": call.actor,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def _sees_email(call: ApiCall) -> bool:
    return "users:read.email" in call.platform.scopes


def user_info(call: ApiCall) -> Json:
    """users.info."""
    user = call.workspace.user(call.text("user"))
    return {"user": user.as_json(with_email=_sees_email(call))}


def user_list(call: ApiCall) -> Json:
    """users.list."""
    rows = [user.as_json(with_email=_sees_email(call)) for user in call.workspace.users.values()]
    page = call.page(rows)
    return {"members": page.items, "cache_ts": 0, **page.metadata()}


def lookup_by_email(call: ApiCall) -> Json:
    """users.lookupByEmail."""
    email = call.text("email").casefold()
    for user in call.workspace.users.values():
        if email and user.email.casefold() == email:
            return {"user": user.as_json()}
    raise FakeSlackError("users_not_found")


def group_list(call: ApiCall) -> Json:
    """usergroups.list."""
    if call.workspace.plan.is_free:
        raise FakeSlackError("plan_upgrade_required")
    with_users = call.flag("include_users")
    groups = call.workspace.groups.values()
    return {"usergroups": [group.as_json(with_users=with_users) for group in groups]}


def group_users(call: ApiCall) -> Json:
    """usergroups.users.list."""
    if call.workspace.plan.is_free:
        raise FakeSlackError("plan_upgrade_required")
    group = call.workspace.groups.get(call.text("usergroup"))
    if group is None:
        raise FakeSlackError("no_such_subteam")
    return {"users": list(group.users)}


def team_info(call: ApiCall) -> Json:
    """team.info."""
    team_id = call.text("team")
    workspace, url = call.workspace, call.platform.base_url
    if team_id not in {"", workspace.team_id}:
        raise FakeSlackError("team_not_found")
    team = {
        "id": workspace.team_id,
        "name": workspace.team_name,
        "domain": workspace.domain,
        "url": f"{url}/",
    }
    return {"team": team}


def bot_info(call: ApiCall) -> Json:
    """bots.info."""
    if call.text("bot") not in {"", BOT_ID}:
        raise FakeSlackError("bot_not_found")
    name = call.workspace.users[BOT_USER_ID].name
    bot = {"id": BOT_ID, "deleted": False, "name": name, "app_id": APP_ID, "user_id": BOT_USER_ID}
    return {"bot": bot}


METHODS: Final[dict[str, Method]] = {
    "api.test": api_test,
    "auth.test": auth_test,
    "bots.info": bot_info,
    "team.info": team_info,
    "usergroups.list": group_list,
    "usergroups.users.list": group_users,
    "users.info": user_info,
    "users.list": user_list,
    "users.lookupByEmail": lookup_by_email,
}
