"""Phrases about the deployments that caused an incident, or may have. Pure."""

from datetime import timedelta

from bot.deployments.deployment import PRODUCTION, Deployment, DeploymentState
from bot.deployments.judgement import LinkMeans
from bot.formatting import duration_text, listed
from bot.incidents.causes.cause import CausingDeployment, IncidentCauses, known_by
from bot.incidents.incident import Incident
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, code, cut, join, link, markup, mention

_LONGEST = 300
_A_MINUTE = timedelta(minutes=1)


def causes_text(incident: Incident, causes: IncidentCauses) -> Markup:
    """Return what caused an incident, a cause in a line, what is only suspected last; empty if nothing is."""
    lines = [confirmed_text(incident, causes)]
    lines += [
        markup(
            "Suspected, not confirmed: {}, deployed by {}{}.",
            _deployment(cause, incident), cut(mention(cause.deployment.by), _LONGEST), _details(cause),
        )
        for cause in causes.suspected
    ]  # fmt: skip
    return join("\n", lines)


def confirmed_text(incident: Incident, causes: IncidentCauses) -> Markup:
    """Return what is known to have caused an incident; who deployed it is no part of that."""
    lines = [_confirmed(cause, incident) for cause in causes.confirmed]
    lines += [markup("The flag {}: {}.", code(flag.name), known_by(flag.means)) for flag in causes.flags]
    if causes.cleared_by is not None:
        lines.append(markup("No deployment, says {}.", mention(causes.cleared_by)))
    return join("\n", lines)


def time_to(deployment: Deployment, incident: Incident) -> str:
    """Return how long before or after the start of an incident a deployment ended: `12 min before`."""
    apart = incident.started_at - deployment.finished_at
    side = "before" if apart >= timedelta() else "after it began"
    if abs(apart) < _A_MINUTE:
        return f"less than a minute {side}"
    return f"{duration_text(_A_MINUTE * round(abs(apart) / _A_MINUTE))} {side}"


def _confirmed(cause: CausingDeployment, incident: Incident) -> Markup:
    told, details = _deployment(cause, incident), _details(cause)
    if cause.means is LinkMeans.PERSON and cause.linked_by is not None:
        return markup("Caused by {}, says {}{}.", told, mention(cause.linked_by), details)
    how = known_by(cause.means) if cause.means is not None else ""
    return markup("Caused by {}: {}{}.", told, how, details)


def _deployment(cause: CausingDeployment, incident: Incident) -> Markup:
    deployment = cause.deployment
    is_usual = deployment.environment.casefold() == PRODUCTION
    environment = NOTHING if is_usual else markup(" to {}", cut(deployment.environment, _LONGEST))
    is_whole = set(cause.services) == set(incident.services)
    of = NOTHING if is_whole else markup(" ({})", listed(cause.services))
    outcome = ", which failed" if deployment.state is DeploymentState.FAILED else ""
    commit, apart = code(cut(deployment.short_commit, _LONGEST)), time_to(deployment, incident)
    return markup("{}{}{}{}, {}", commit, environment, of, outcome, apart)


def _details(cause: CausingDeployment) -> Markup:
    url = cause.deployment.url
    return markup(" ({})", link(url, "details")) if url else NOTHING
