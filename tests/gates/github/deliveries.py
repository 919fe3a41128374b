"""What GitHub delivers to the App: its published examples, and what these lack, built by its schema."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match

from tests.gates.github.server import INSTALLATION, REPOSITORY, REPOSITORY_ID
from tests.support.npm import installed

PUBLISHED = ("@octokit/webhooks-schemas@7.6.1", "@octokit/webhooks-examples@7.6.1")
Delivery = dict[str, Any]


@cache
def _folder() -> Path:
    _, folder = installed(*PUBLISHED)
    return folder / "node_modules" / "@octokit"


@cache
def _schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((_folder() / "webhooks-schemas" / "schema.json").read_text())
    return read


@cache
def examples(event: str) -> tuple[Delivery, ...]:
    """Return the published examples of an event."""
    index = json.loads((_folder() / "webhooks-examples" / "api.github.com" / "index.json").read_text())
    return tuple(next(each["examples"] for each in index if each["name"] == event))


def faults(definition: str, delivery: Delivery) -> list[str]:
    """Return what the published schema finds wrong with a delivery."""
    event = _schema() | {"oneOf": [{"$ref": f"#/definitions/{definition}"}]}
    return [
        best_match([error]).message[:200] for error in jsonschema.Draft7Validator(event).iter_errors(delivery)
    ]


@cache
def _example(event: str, action: str) -> Delivery:
    """Return the first published example of an action that is as the published schema wants it."""
    found = [each for each in examples(event) if each["action"] == action]
    return next(each for each in found if not faults(f"{event}${action}", each))


def _base() -> Delivery:
    return copy.deepcopy(_example("merge_group", "checks_requested"))


def protection_rule(
    run: int = 1001, *, environment: str = "production", deployment: int | None = None, sha: str = "a" * 40
) -> Delivery:
    """Return the event `deployment_protection_rule`, of which no example is published."""
    base = _base()
    example = copy.deepcopy(examples("deployment")[0]["deployment"])
    callback = f"https://api.github.com/repos/{REPOSITORY}/actions/runs/{run}/deployment_protection_rule"
    return {
        "action": "requested",
        "environment": environment,
        "event": "push",
        "deployment_callback_url": callback,
        "deployment": example | {"id": deployment or run * 10, "sha": sha, "environment": environment},
        "pull_requests": [],
        "repository": base["repository"],
        "installation": base["installation"],
        "sender": base["sender"],
    }


def merge_group(sha: str = "b" * 40, *, number: int = 104) -> Delivery:
    """Return the event `merge_group` of a group whose last pull request has that number."""
    body = _base()
    ref = f"refs/heads/gh-readonly-queue/main/pr-{number}-{'c' * 40}"
    body["merge_group"] |= {"head_sha": sha, "head_ref": ref}
    return body


def destroyed(sha: str = "b" * 40, *, number: int = 104, reason: str = "dequeued") -> Delivery:
    """Return the event `merge_group` of a group that is gone, of which no example is published."""
    return merge_group(sha, number=number) | {"action": "destroyed", "reason": reason}


def pull_request(action: str = "opened", *, number: int = 12, sha: str = "d" * 40) -> Delivery:
    """Return the event `pull_request`."""
    body = copy.deepcopy(_example("pull_request", action))
    base = _base()
    body["pull_request"] |= {"number": number, "title": "Round the total"}
    body["pull_request"]["head"] |= {"sha": sha}
    return body | {
        "number": number,
        "repository": base["repository"],
        "installation": base["installation"],
    }


def button(
    check_run: int, external_id: str, *, login: str = "monalisa", identifier: str = "exempt"
) -> Delivery:
    """Return the event `check_run` of a pressed button."""
    body, base = copy.deepcopy(_example("check_run", "requested_action")), _base()
    body["check_run"] |= {"id": check_run, "external_id": external_id}
    body["sender"] |= {"login": login}
    return body | {
        "requested_action": {"identifier": identifier},
        "repository": base["repository"],
        "installation": base["installation"],
    }


def pull(number: int, sha: str, merge_commit_sha: str | None = None) -> Delivery:
    """Return a pull request as the API shows it."""
    found: Delivery = copy.deepcopy(examples("pull_request")[0]["pull_request"])
    found |= {"number": number, "merge_commit_sha": merge_commit_sha}
    found["head"] |= {"sha": sha}
    return found


def assert_ids() -> None:
    """Check that the examples are of the repository that the server has."""
    base = _base()
    assert (base["repository"]["id"], base["repository"]["full_name"]) == (REPOSITORY_ID, REPOSITORY)
    assert base["installation"]["id"] == INSTALLATION
