"""`gates.kubernetes` of a Workspace document: clusters, and which of their objects are of which services."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from bot.catalog import clusters
from bot.catalog.error_budget_policy import PRODUCTION
from bot.policy.documents.fields import Slug
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.faults import IT, InvalidValueError

_OBJECT_NAME = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_PATTERN = r"[a-z0-9*](?:[a-z0-9.*/-]{0,251}[a-z0-9*])?"
_CONTEXT = r"[^\x00-\x1f\x7f]{1,253}"


def _checked(text: str, *, pattern: str, kind: str, allowed: str) -> str:
    if not re.fullmatch(pattern, text):
        raise InvalidValueError(f"{IT} is not {kind}", allowed)
    return text


ObjectName = Annotated[
    str,
    AfterValidator(
        partial(
            _checked,
            pattern=_OBJECT_NAME,
            kind="the name of an object of Kubernetes",
            allowed="lower-case letters, digits, '-' and '.', at most 253",
        )
    ),
    WithJsonSchema({"type": "string", "examples": ["checkout"]}),
]
ApplicationPattern = Annotated[
    str,
    AfterValidator(
        partial(
            _checked,
            pattern=_PATTERN,
            kind="a pattern of applications",
            allowed="an application's name, with * for any letters",
        )
    ),
    WithJsonSchema({"type": "string", "examples": ["checkout-*"]}),
]
ContextName = Annotated[
    str,
    AfterValidator(
        partial(_checked, pattern=_CONTEXT, kind="a context", allowed="a name in the kubeconfig file")
    ),
    WithJsonSchema({"type": "string", "examples": ["production"]}),
]
ObjectNames = Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=100)]


class WorkloadsSpec(Model):
    """Workloads of a service without the label `governor/service`."""

    service: Slug
    """Name of the service."""
    namespace: ObjectName
    """The namespace that they are in."""
    names: ObjectNames
    """The names of Deployments, StatefulSets, DaemonSets and Rollouts."""


class CanarySpec(Model):
    """A canary that `/canary` shows and steers."""

    service: Slug
    """Name of the service that it ships."""
    namespace: ObjectName
    """The namespace that it is in."""
    name: ObjectName
    """Its name."""
    tool: Literal["rollouts", "flagger"] = "rollouts"
    """What ships it: Argo Rollouts (a Rollout) or Flagger (a Canary)."""


class ApplicationsSpec(Model):
    """The applications of a project that are of one service."""

    service: Slug
    """Name of the service."""
    names: Annotated[tuple[ApplicationPattern, ...], Field(min_length=1, max_length=100)]
    """Names of applications; `*` stands for any letters."""


class ProjectSpec(Model):
    """An AppProject of Argo CD that gets a sync window while one of its services is frozen."""

    name: ObjectName
    """Its name."""
    namespace: ObjectName = "argocd"
    """The namespace that Argo CD is in."""
    applications: Annotated[tuple[ApplicationsSpec, ...], Field(min_length=1, max_length=1_000)]
    """Which of its applications are of which service."""


class ClusterSpec(Model):
    """A cluster of Kubernetes."""

    name: Slug
    """What people call it."""
    context: ContextName | None = None
    """The context of the file that `KUBECONFIG` names; if left out its current one, or without such a file
    the cluster that Governor runs in."""
    environment: Slug = PRODUCTION
    """The environment that it is: a freeze that spares it holds nothing there."""
    namespaces: Annotated[tuple[ObjectName, ...], Field(max_length=1_000)] = ()
    """Namespaces in which workloads with the label `governor/service` are held while that service is."""
    workloads: Annotated[tuple[WorkloadsSpec, ...], Field(max_length=1_000)] = ()
    """Workloads that are held without that label; their namespaces need not be repeated above."""
    canaries: Annotated[tuple[CanarySpec, ...], Field(max_length=1_000)] = ()
    """The canaries that `/canary` shows and steers."""
    projects: Annotated[tuple[ProjectSpec, ...], Field(max_length=1_000)] = ()
    """Projects of Argo CD that get a sync window while a service of theirs is frozen."""

    def settings(self) -> clusters.ClusterSettings:
        """Return it as a plain value."""
        named = [each.namespace for each in self.workloads]
        return clusters.ClusterSettings(
            self.name,
            self.context,
            self.environment,
            tuple(sorted({*self.namespaces, *named})),
            tuple(
                clusters.ServiceWorkloads(each.service, each.namespace, each.names) for each in self.workloads
            ),
            tuple(
                clusters.CanarySettings(
                    each.service, each.namespace, each.name, clusters.CanaryTool(each.tool)
                )
                for each in self.canaries
            ),
            tuple(
                clusters.ProjectSettings(
                    each.name,
                    each.namespace,
                    tuple(clusters.ProjectApplications(own.service, own.names) for own in each.applications),
                )
                for each in self.projects
            ),
        )

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that each canary and each project is named once."""
        named = [("canaries", index, each.namespace, each.name) for index, each in enumerate(self.canaries)]
        named += [("projects", index, each.namespace, each.name) for index, each in enumerate(self.projects)]
        seen: set[tuple[str, str, str]] = set()
        for key, index, namespace, name in named:
            if (key, namespace, name) in seen:
                yield BrokenRule((key, index, "name"), f"{IT} is in this list twice", "each once")
            seen.add((key, namespace, name))
