"""`governor deploy record`: tells a running bot how a deployment ended, from any CI."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bot.cli.boundary import CommandGroup
from bot.cli.console import NO, UNKNOWN, YES, Json, Url, fail, out, print_json, run_async
from bot.deployments.actor import Actor
from bot.deployments.deployment import DeploymentState

_NAMES: Mapping[str, tuple[str, ...]] = {
    "commit": (
        "GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "BUILD_SOURCEVERSION", "CIRCLE_SHA1", "BUILDKITE_COMMIT",
    ),
    "ref": (
        "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "GIT_BRANCH", "BUILD_SOURCEBRANCHNAME", "CIRCLE_BRANCH",
        "BUILDKITE_BRANCH",
    ),
    "run": (
        "GITHUB_RUN_ID", "CI_PIPELINE_ID", "BUILD_TAG", "BUILD_BUILDID", "CIRCLE_WORKFLOW_ID",
        "BUILDKITE_BUILD_ID",
    ),
    "job": ("GITHUB_JOB", "CI_JOB_ID", "BUILD_ID", "SYSTEM_JOBID", "CIRCLE_BUILD_NUM", "BUILDKITE_JOB_ID"),
    "by": ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID", "BUILD_REQUESTEDFOR", "CIRCLE_USERNAME"),
    "url": ("CI_JOB_URL", "BUILD_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL"),
}  # fmt: skip
"""Where CI systems say it: GitHub Actions, GitLab, Jenkins, Azure Pipelines, CircleCI, Buildkite."""

deploy = typer.Typer(
    name="deploy",
    help="Tell of deployments, and import their history.",
    no_args_is_help=True,
    cls=CommandGroup,
)


@deploy.callback()
def _group() -> None:
    """Tell of deployments, and import their history."""


@deploy.command()
def record(  # noqa: PLR0917 - the command's own options
    service: Annotated[str, typer.Option(metavar="SERVICE", help="A service of the policies.")],
    commit: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="What was deployed; the CI's commit by default.")
    ] = None,
    environment: Annotated[str, typer.Option(metavar="NAME", help="Where to.")] = "production",
    state: Annotated[DeploymentState, typer.Option(help="How it ended.")] = DeploymentState.SUCCEEDED,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Tells it from all others; made of the CI's run and job if left out."
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="The pipeline's run: its jobs are one deployment; the CI's by default."
        ),
    ] = None,
    actor: Annotated[Actor, typer.Option(help="Who deployed.")] = Actor.PIPELINE,
    started_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it began, as RFC 3339; now if left out.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Record how a deployment ended.

    Exit 0 if it is recorded, 1 if it is refused, 2 if nobody answers.

    Example: `governor deploy record --service checkout --commit 3f1c2ab`.
    """
    import os  # noqa: PLC0415 - the environment is this command's alone

    from bot.cli.api_client import (  # noqa: PLC0415
        ClientError,
        RequestRefusedError,
        api_client,
        api_token,
        base_url,
    )
    from bot.settings import read_settings  # noqa: PLC0415

    given = {"commit": commit, "key": key, "run": run, "started_at": started_at}
    given |= {"state": state.value, "actor": actor.value}
    body = report(os.environ, service, environment, given, datetime.now(UTC))
    if "commit" not in body:
        fail("say what was deployed: `--commit 3f1c2ab`")
    settings = read_settings()

    async def post() -> dict[str, Any]:
        async with api_client(base_url(settings, url), api_token(settings)) as client:
            return await client.post("deployments", body)

    try:
        answer = run_async(post())
    except RequestRefusedError as error:
        fail(f"{error}{_faults(error.problem)}", NO if error.status < 500 else UNKNOWN)
    except ClientError as error:
        fail(str(error))
    if as_json:
        print_json(answer)
    else:
        is_new = "recorded" if answer["recorded"] else "known already"
        out.print(f"{is_new}: {body['commit']} to {environment}, {state}", markup=False)
    sys.exit(YES)


@deploy.command("import")
def import_history(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="SERVICE|REPOSITORY",
            help="A service, or a repository such as acme/checkout; all that services name if left out.",
        ),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="How far back to import, such as 30d; at most 366d.")
    ] = "90d",
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait for the end; the bot goes on either way."),
    ] = True,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Import deployments from GitHub.

    Exit 0 if it is done, 1 if it is refused or given up, 2 if nobody answers.
    """
    from bot.cli.deployments.deploy_import import run_import  # noqa: PLC0415 - other commands need no client

    run_import(name, since, url, wait=wait, as_json=as_json)


def report(
    environ: Mapping[str, str],
    service: str,
    environment: str,
    given: Mapping[str, str | None],
    now: datetime,
) -> dict[str, str]:
    """Return the body of the report: what is given, else what the CI's environment says.

    Without a run, the time tells a deployment from an earlier one of the same commit.
    """
    found = {
        name: next((environ[v] for v in names if environ.get(v)), None) for name, names in _NAMES.items()
    }
    if environ.get("GITHUB_RUN_ID"):
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        repository = environ.get("GITHUB_REPOSITORY")
        found["url"] = f"{server}/{repository}/actions/runs/{environ['GITHUB_RUN_ID']}"
    job = found.pop("job")
    body = found | {name: value for name, value in given.items() if value is not None}
    if body.get("key") is None:
        beginning = body["run"] or f"{body['commit']} {body.get('started_at') or now.isoformat()}"
        parts = (beginning, job, environ.get("GITHUB_RUN_ATTEMPT"), environment)
        body["key"] = " ".join(part for part in parts if part)[:190]
    body |= {"service": service, "environment": environment}
    return {name: value for name, value in body.items() if value}


def _faults(problem: Mapping[str, Any]) -> str:
    faults = [f"{fault['field']}: {fault['message']}" for fault in problem.get("errors", ())]
    return f" ({'; '.join(faults)})" if faults else ""
