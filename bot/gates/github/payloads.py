"""The parts of GitHub's deliveries that are read, and nothing else of them."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bot.texts import clean_line, is_name

_MOST_ID = 10**15


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("must have no control characters and no lone surrogates")
    return text


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_name)]
Number = Annotated[int, Field(ge=1, lt=_MOST_ID, strict=True)]
Sha = Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")]
FullName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$")]
Line = Annotated[str, AfterValidator(lambda text: clean_line(text, 200))]


class _GitHubPart(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RepositoryRef(_GitHubPart):
    """The repository that a delivery is about."""

    id: Number
    full_name: FullName


class InstallationRef(_GitHubPart):
    """The installation of the App that a delivery is for."""

    id: Number


class SenderRef(_GitHubPart):
    """Who caused a delivery."""

    login: Name


class _Delivery(_GitHubPart):
    action: Name
    repository: RepositoryRef
    installation: InstallationRef
    sender: SenderRef


class ReviewedDeployment(_GitHubPart):
    """The deployment that a protection rule is asked about."""

    id: Number
    sha: Sha
    ref: Line = ""


class ProtectionRuleBody(_Delivery):
    """The event `deployment_protection_rule`."""

    environment: Name
    deployment_callback_url: Annotated[str, Field(max_length=1_000)]
    deployment: ReviewedDeployment


class MergeGroupRef(_GitHubPart):
    """A group of a merge queue."""

    head_sha: Sha
    head_ref: Name
    base_sha: Sha


class MergeGroupBody(_Delivery):
    """The event `merge_group`."""

    merge_group: MergeGroupRef


class HeadRef(_GitHubPart):
    """The newest commit of a pull request."""

    sha: Sha


class LabelRef(_GitHubPart):
    """A label."""

    name: Line


class PullRequestRef(_GitHubPart):
    """A pull request, as deliveries and the API show it."""

    number: Number
    title: Line = ""
    head: HeadRef
    labels: tuple[LabelRef, ...] = ()


class CommittedPullRequest(PullRequestRef):
    """A pull request to which a commit belongs, as the API shows it."""

    merge_commit_sha: str | None = None


class PullRequestBody(_Delivery):
    """The event `pull_request`; `label` is the one that was set or taken away."""

    pull_request: PullRequestRef
    label: LabelRef | None = None


class CheckRunRef(_GitHubPart):
    """A check run of ours."""

    id: Number
    external_id: Annotated[str, Field(max_length=500), AfterValidator(_name)] = ""


class RequestedAction(_GitHubPart):
    """The button that somebody pressed."""

    identifier: Name


class CheckRunBody(_Delivery):
    """The event `check_run`."""

    check_run: CheckRunRef
    requested_action: RequestedAction | None = None
