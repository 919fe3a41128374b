"""The models of `gates.gitlab` and `gates.terraform`: which projects and workspaces ship which services."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from bot.catalog.error_budget_policy import PRODUCTION
from bot.policy.documents.fields import Slug, Switch
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.planning_fields import Services
from bot.policy.faults import IT, InvalidValueError

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"


def _checked(text: str, *, pattern: str, kind: str, allowed: str) -> str:
    if not re.fullmatch(pattern, text) or len(text) > 255:
        raise InvalidValueError(f"{IT} is not {kind}", allowed)
    return text


ProjectPath = Annotated[
    str,
    AfterValidator(
        partial(
            _checked,
            pattern=f"{_PART}(?:/{_PART})+",
            kind="a project's path",
            allowed="such as acme/checkout",
        )
    ),
    WithJsonSchema({"type": "string", "examples": ["acme/checkout"]}),
]
WorkspacePath = Annotated[
    str,
    AfterValidator(
        partial(_checked, pattern=f"{_PART}/{_PART}", kind="a workspace", allowed="ORGANIZATION/WORKSPACE")
    ),
    WithJsonSchema({"type": "string", "examples": ["acme/checkout-production"]}),
]


class GitLabProjectSpec(Model):
    """A project of GitLab."""

    project: ProjectPath
    """Its path with all groups, such as `acme/checkout`."""
    services: Services
    """The services that it deploys, one or a list."""
    environment: Slug = PRODUCTION
    """Where it deploys them to: a freeze that spares it holds nothing there."""
    freeze_periods: Switch = True
    """Whether it gets a freeze period while one of them is frozen."""


class GitLabGateSpec(Model):
    """GitLab: freeze periods and external status checks."""

    projects: Annotated[tuple[GitLabProjectSpec, ...], Field(max_length=1_000)] = ()
    """The projects."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that each project is named once."""
        yield from _twice("projects", "project", [each.project for each in self.projects])


class TerraformWorkspaceSpec(Model):
    """A workspace of HCP Terraform."""

    workspace: WorkspacePath
    """Its organization and name, such as `acme/checkout-production`."""
    services: Services
    """The services that it changes, one or a list."""
    environment: Slug = PRODUCTION
    """Where they run: a freeze that spares it holds nothing there."""


class TerraformGateSpec(Model):
    """HCP Terraform, or Terraform Enterprise: run tasks."""

    workspaces: Annotated[tuple[TerraformWorkspaceSpec, ...], Field(max_length=1_000)] = ()
    """The workspaces that ask by a run task."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that each workspace is named once."""
        yield from _twice("workspaces", "workspace", [each.workspace for each in self.workspaces])


def _twice(key: str, field: str, names: Sequence[str]) -> Iterator[BrokenRule]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name.casefold() in seen:
            yield BrokenRule((key, index, field), f"{IT} is in this list twice", "each once")
        seen.add(name.casefold())
