"""GitLab and HCP Terraform, wired: what asks once and is answered later."""

from bot.app.resources import Resources
from bot.gates.gitlab.adapter import GitLabGate
from bot.gates.gitlab.client import GitLabClient
from bot.gates.gitlab.periods_handler import FreezePeriodsHandler
from bot.gates.gitlab.status_checks import StatusCheckAnswers, StatusCheckHook
from bot.gates.progressive.questions import GateQuestions
from bot.gates.terraform.adapter import TerraformGate
from bot.gates.terraform.run_tasks import RunTaskAnswers, RunTaskHook
from bot.gates.terraform.tokens import TokenForgetting
from bot.gates.waits.answering import WaitAnswering


def gitlab_gate(resources: Resources, questions: GateQuestions, answering: WaitAnswering) -> GitLabGate:
    """Return GitLab; without a token nothing is written there and nothing answered."""
    settings, current, clock = resources.settings, resources.current, resources.clock
    token = settings.gitlab_token
    secret = token.get_secret_value() if token is not None else ""
    client = GitLabClient(resources.session, settings.gitlab_url, secret)
    handler = FreezePeriodsHandler(client, questions, current)
    if token is not None:
        answering.register([StatusCheckAnswers(client)])
    hook = StatusCheckHook(answering.waits, current, settings.gitlab_secrets, settings.gitlab_url[:200])
    return GitLabGate(
        hook,
        handler,
        is_set_up=token is not None,
        database=resources.database,
        current=current,
        clock=clock,
    )


def terraform_gate(resources: Resources, answering: WaitAnswering) -> TerraformGate:
    """Return HCP Terraform."""
    settings = resources.settings
    answering.register([RunTaskAnswers(resources.session)])
    forgetting = TokenForgetting(resources.database, resources.clock)
    hook = RunTaskHook(
        answering.waits,
        resources.current,
        settings.terraform_keys,
        settings.terraform_url,
        forgetting.plan,
    )
    return TerraformGate(hook)
