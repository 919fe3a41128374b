"""Substitutes `${NAME}` and `${NAME:-default}` from the environment, which is an argument. Pure.

Works on texts that YAML has already parsed, so that no value can change a document's structure. `$${` is
the escape for `${`; any other `$` is left alone. The variables that configure the bot itself are never filled
in, whatever the document: nobody but the bot needs them.
"""

import re
from collections.abc import Mapping

from bot.policy.faults import InvalidValueError, quoted

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")

OWN_VARIABLES = frozenset(
    {
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
        "SLACK_APP_TOKEN",
        "SLACK_CLIENT_ID",
        "SLACK_CLIENT_SECRET",
        "SLACK_REDIRECT_URL",
        "SLACK_COMMAND_PREFIX",
        "SLACK_API_URL",
        "GOVERNOR_ENCRYPTION_KEY",
        "GOVERNOR_API_TOKEN",
        "GOVERNOR_DOCS_URL",
        "GOVERNOR_URL",
        "GITHUB_WEBHOOK_SECRET",
        "GITLAB_WEBHOOK_SECRET",
        "GITLAB_URL",
        "GITLAB_TOKEN",
        "TERRAFORM_URL",
        "TERRAFORM_RUN_TASK_KEY",
        "JIRA_WEBHOOK_SECRET",
        "GITHUB_TOKEN",
        "GITHUB_API_URL",
        "GITHUB_APP_ID",
        "GITHUB_APP_PRIVATE_KEY",
        "GITHUB_APP_WEBHOOK_SECRET",
        "AGENT_ACCOUNTS",
        "AGENT_REQUESTS_PER_MINUTE",
        "KUBECONFIG",
        "MCP_HOSTS",
        "POLICIES_DIR",
        "SANDBOX_HOSTS",
        "DATABASE_URL",
        "HOST",
        "PORT",
        "HTTP_CONNECTIONS",
        "HTTP_CONNECTIONS_PER_PEER",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "PGPASSWORD",
        "PGPASSFILE",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    }
)
"""The variables of `bot/settings.py`, and those with passwords for the database and for traces."""


def is_own(name: str) -> bool:
    """Return whether a variable configures the bot itself; the case of its name does not matter."""
    return name.upper() in OWN_VARIABLES


def referenced(text: str) -> tuple[str, ...]:
    """Return the names of the variables that a text refers to, in order."""
    return tuple(match["name"] for match in _REFERENCE.finditer(text) if match["name"])


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with every reference substituted; raises `InvalidValueError` where one cannot be.

    As in a shell, the default is also used for a variable that is set but empty.
    """

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            allowed = "${NAME}, ${NAME:-default}, or $${ for a literal ${"
            raise InvalidValueError("a reference to the environment is not well formed", allowed)
        if is_own(name):
            raise own_variable(name)
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise _unset(name)
        return value

    return _REFERENCE.sub(replacement, text)


def own_variable(name: str) -> InvalidValueError:
    """Return the error that a variable of the bot itself is used."""
    message = f"{quoted(name)} configures the bot itself and is never filled in"
    return InvalidValueError(message, "a variable of your own")


def _unset(name: str) -> InvalidValueError:
    message = f"the environment variable {quoted(name)} is not set"
    if name == "window":
        return InvalidValueError(f"{message}; for the width of a time bucket write $window, without braces")
    return InvalidValueError(message, f"set it, or write a default: ${{{name}:-…}}")
