"""Settings from the environment; the variables' names are part of the public contract."""

from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.settings_faults import one_of, setting_fault
from bot.texts import is_name

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
_SHORTEST_LINE = 8
_DATABASE_FORMS = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST:5432/NAME"
# What libpq's addresses say and asyncpg calls otherwise; without a name where it has no such option, and
# where Governor sets it itself.
_POSTGRESQL_OPTIONS = {
    "sslmode": "ssl",
    "ssl": "ssl",
    "passfile": "passfile",
    "target_session_attrs": "target_session_attrs",
    "host": "host",
    "port": "port",
    "prepared_statement_cache_size": "prepared_statement_cache_size",
    "application_name": "",
    "channel_binding": "",
    "connect_timeout": "",
    "gssencmode": "",
}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ADDRESSES = {
    "slack_api_url": "https://slack.com/api/",
    "slack_redirect_url": "https://governor.example.com/slack/oauth_redirect",
    "github_api_url": "https://api.github.com",
    "gitlab_url": "https://gitlab.com",
    "terraform_url": "https://app.terraform.io",
}
_TOKEN_KINDS = {
    "xoxb-": ("a bot token", "slack_bot_token"),
    "xapp-": ("an app-level token", "slack_app_token"),
    "xoxp-": ("a user token", None),
    "xoxe-": ("a refresh token", None),
}


class SettingsError(Exception):
    """The environment has invalid values. The message names each variable and its fault."""


class Settings(BaseSettings):
    """The settings in the environment. `repr` never shows secrets."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    slack_bot_token: SecretStr | None = Field(None, description="The app's bot token, `xoxb-…`.")
    slack_signing_secret: SecretStr | None = Field(None, description="Proves that requests are Slack's.")
    slack_app_token: SecretStr | None = Field(
        None, description="`xapp-…`; if set, Socket Mode is used, else HTTP."
    )
    slack_client_id: str | None = Field(
        None, description="With the secret, many workspaces can install the app."
    )
    slack_client_secret: SecretStr | None = Field(None, description="The app's client secret.")
    slack_redirect_url: str | None = Field(
        None, description="The public address of `/slack/oauth_redirect`; if unset, the app's first one."
    )
    governor_encryption_key: SecretStr | None = Field(
        None,
        description="Encrypts the tokens in the database; several are separated by commas, the newest first.",
    )
    slack_command_prefix: str = Field(
        "",
        pattern="^[a-z0-9_-]*$",
        description="The prefix of the commands, as in `governor manifest --prefix`.",
    )
    slack_api_url: str = Field("https://slack.com/api/", description="Base of Slack's Web API.")
    policies_dir: Path = Field(Path("policies"), description="Folder of policy documents.")
    database_url: str = Field(
        "sqlite+aiosqlite:///governor.db",
        description="`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.",
    )
    host: str = Field("127.0.0.1", description="Address on which HTTP listens.")
    port: int = Field(3000, ge=0, le=65535, description="Port on which HTTP listens; 0 picks a free one.")
    http_connections: int = Field(
        1_000, ge=10, description="Most open connections; fewer where the limit on open files is lower."
    )
    http_connections_per_peer: int = Field(
        200,
        ge=1,
        description=(
            "Most connections from one address other than loopback; behind a proxy set it "
            "to HTTP_CONNECTIONS."
        ),
    )
    sandbox_hosts: str = Field(
        "", description="Further host names under which `governor sandbox` answers, separated by commas."
    )
    governor_url: str | None = Field(
        None,
        description=(
            "The bot's public address, `https://…`: links to incidents and services below it show in Slack "
            "what they lead to."
        ),
    )
    governor_docs_url: str = Field(
        "docs", description="Where the folder `docs` can be read, for links in explanations: `https://…`."
    )
    governor_api_token: SecretStr | None = Field(None, description="Bearer token with all API rights.")
    github_webhook_secret: SecretStr | None = Field(
        None,
        description="Proves that deliveries are GitHub's; two, separated by a comma, while you change it.",
    )
    github_token: SecretStr | None = Field(
        None,
        description="Reads commits, deployments and issues at GitHub: what was deployed, what is done.",
    )
    github_api_url: str = Field(
        "https://api.github.com",
        description="Base of GitHub's API; `https://HOST/api/v3` at Enterprise Server.",
    )
    github_app_id: str | None = Field(
        None, pattern="^[A-Za-z0-9._-]{1,50}$", description="The id of the GitHub App that holds changes."
    )
    github_app_private_key: SecretStr | None = Field(
        None, description="The App's private key in PEM, or the path of its file."
    )
    github_app_webhook_secret: SecretStr | None = Field(
        None,
        description="Proves that the App's deliveries are GitHub's; two, separated by a comma, for a change.",
    )
    agent_accounts: str = Field(
        "copilot-swe-agent,claude,cursor,devin-ai-integration,google-labs-jules,chatgpt-codex-connector",
        description="Accounts at GitHub, separated by commas: what they deploy, agents did.",
    )
    agent_requests_per_minute: int = Field(
        120,
        ge=1,
        le=1_000_000,
        description="The most requests a minute that an agent's token may make, whatever it was given.",
    )
    mcp_hosts: str = Field(
        "",
        description="Further host names under which `/mcp` answers, separated by commas, beside that of "
        "GOVERNOR_URL, HOST and this machine.",
    )
    gitlab_webhook_secret: SecretStr | None = Field(
        None,
        description="The secret token of GitLab's webhook; two, separated by a comma, while you change it.",
    )
    gitlab_url: str = Field("https://gitlab.com", description="GitLab, where freeze periods are written.")
    gitlab_token: SecretStr | None = Field(
        None,
        description="Writes freeze periods and answers status checks at GitLab: scope `api`, Maintainer.",
    )
    terraform_url: str = Field(
        "https://app.terraform.io", description="HCP Terraform, or Terraform Enterprise, whose runs ask."
    )
    terraform_run_task_key: SecretStr | None = Field(
        None,
        description="The HMAC key of run tasks; two, separated by a comma, while you change it.",
    )
    jira_webhook_secret: SecretStr | None = Field(
        None, description="The secret of Jira's webhook; two, separated by a comma, while you change it."
    )
    kubeconfig: Path | None = Field(
        None,
        description=(
            "The kubeconfig file with the contexts of `gates.kubernetes`; if unset, the pod's own account."
        ),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is logged."
    )
    log_format: Literal["json", "console"] | None = Field(
        None, description="`json` or `console`; if unset, `console` in a terminal."
    )

    @field_validator("slack_bot_token", "slack_app_token")
    @classmethod
    def _check_token(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Refuse Slack's other kinds of tokens, which are easily mixed up."""
        text = token.get_secret_value() if token else ""
        for prefix, (kind, field) in _TOKEN_KINDS.items():
            if text.startswith(prefix) and info.field_name != field:
                expected = "xoxb-…" if info.field_name == "slack_bot_token" else "xapp-…"
                text = "this is {kind}; the one that begins with {expected} belongs here"
                raise PydanticCustomError("token", text, {"kind": kind, "expected": expected})
        return token

    @field_validator("github_app_private_key")
    @classmethod
    def _read_key(cls, key: SecretStr | None) -> SecretStr | None:
        """Return the key itself, also where a file has it, or its line ends are written out."""
        if key is None:
            return None
        text = key.get_secret_value().replace("\\n", "\n").strip()
        if not text.startswith("-----BEGIN"):
            try:
                text = Path(text).read_text(encoding="ascii").strip()
            except (OSError, ValueError):
                raise PydanticCustomError("key", "neither a private key in PEM nor a file with one") from None
        if not text.startswith("-----BEGIN"):
            raise PydanticCustomError("key", "the file has no private key in PEM")
        return SecretStr(f"{text}\n")

    @field_validator("database_url")
    @classmethod
    def _name_driver(cls, url: str) -> str:
        """Return the address with the driver that is installed, and the options as it calls them."""
        scheme, separator, _ = url.partition("://")
        driver = _DRIVERS.get(scheme.partition("+")[0])
        if not separator or driver is None or scheme not in {driver, *_DRIVERS}:
            raise PydanticCustomError("database_url", "write {forms}", {"forms": _DATABASE_FORMS})
        if driver.startswith("sqlite"):
            if "?" in url and "uri=true" not in url:
                raise PydanticCustomError("database_url", "write {forms}", {"forms": _DATABASE_FORMS})
            return driver + url[len(scheme) :]
        parts = _split(url, _DATABASE_FORMS)
        if parts.port is None and not parts.hostname and not parts.query:
            raise PydanticCustomError("database_url", "write {forms}", {"forms": _DATABASE_FORMS})
        options = parse_qsl(parts.query)
        for name, value in options:
            _check_option(name, value)
        known = [(_POSTGRESQL_OPTIONS[name], value) for name, value in options]
        query = urlencode([(name, value) for name, value in known if name])
        return urlunsplit((driver, parts.netloc, parts.path, query, ""))

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _ignore_case(cls, word: object) -> object:
        return word.strip().lower() if isinstance(word, str) else word

    @field_validator("slack_signing_secret")
    @classmethod
    def _check_signing_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        """Refuse what is surely another secret of the app's page."""
        text = secret.get_secret_value() if secret else ""
        if text.startswith(("xoxb-", "xoxp-", "xoxe-", "xoxe.", "xapp-", "http")) or " " in text.strip():
            raise PydanticCustomError(
                "signing_secret",
                "this is another of the app's values; copy *Signing Secret* from *Basic Information* at "
                "api.slack.com/apps: 32 digits and letters from a to f",
            )
        return secret

    @field_validator(
        "governor_url", "github_api_url", "gitlab_url", "terraform_url", "slack_api_url", "slack_redirect_url"
    )
    @classmethod
    def _check_address(cls, url: str | None, info: ValidationInfo) -> str | None:
        """Refuse what is no address of a web server."""
        if url is None:
            return None
        form = f"an address such as {_ADDRESSES.get(info.field_name or '', 'https://governor.example.com')}"
        parts = _split(url, form)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not is_name(url) or " " in url:
            raise PydanticCustomError("address", "write {form}", {"form": form})
        return url

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that no log may show."""
        # Read from the fields, so that none can be forgotten; a field may hold several keys with commas.
        values = (getattr(self, name) for name in type(self).model_fields)
        secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        keys = [word.strip() for secret in secrets for word in secret.split(",")]
        # Logs may show a key of several lines line by line.
        lines = [
            line for secret in secrets if "\n" in secret for line in secret.splitlines()
            if len(line) >= _SHORTEST_LINE and not line.startswith("-----")
        ]  # fmt: skip
        password = urlsplit(self.database_url).password
        return tuple(value for value in (*secrets, *keys, *lines, password, unquote(password or "")) if value)

    @property
    def github_secrets(self) -> tuple[str, ...]:
        """The secrets with which GitHub may sign; without any, its deliveries are refused."""
        return _each(self.github_webhook_secret)

    @property
    def github_app_key(self) -> str | None:
        """The App's private key in PEM."""
        key = self.github_app_private_key
        return None if key is None else key.get_secret_value()

    @property
    def github_app_secrets(self) -> tuple[str, ...]:
        """The secrets with which GitHub may sign what it delivers to the App."""
        return _each(self.github_app_webhook_secret)

    @property
    def gitlab_secrets(self) -> tuple[str, ...]:
        """The secret tokens that GitLab may send; without any, its events are refused."""
        return _each(self.gitlab_webhook_secret)

    @property
    def terraform_keys(self) -> tuple[str, ...]:
        """The keys with which HCP Terraform may sign; without any, its run tasks are refused."""
        return _each(self.terraform_run_task_key)

    @property
    def jira_secrets(self) -> tuple[str, ...]:
        """The secrets with which Jira may sign; without any, its events are refused."""
        return _each(self.jira_webhook_secret)

    @property
    def mcp_host_names(self) -> tuple[str, ...]:
        """The host names under which `/mcp` answers, without ports."""
        further = (name.strip() for name in self.mcp_hosts.split(","))
        public = urlsplit(self.governor_url or "").hostname or ""
        names = ("localhost", "127.0.0.1", "[::1]", self.host, public, *further)
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def may_be_installed(self) -> bool:
        """Whether workspaces may install the app by OAuth, in addition to or instead of one bot token."""
        return self.slack_client_id is not None or self.slack_client_secret is not None

    @property
    def missing_credentials(self) -> tuple[str, ...]:
        """The variables without which no Slack workspace can be served."""
        required: dict[str, object] = {"SLACK_BOT_TOKEN": self.slack_bot_token}
        if self.may_be_installed:
            required = {
                "SLACK_CLIENT_ID": self.slack_client_id,
                "SLACK_CLIENT_SECRET": self.slack_client_secret,
                "GOVERNOR_ENCRYPTION_KEY": self.governor_encryption_key,
            }
        if self.slack_app_token is None:
            required["SLACK_SIGNING_SECRET"] = self.slack_signing_secret
        return tuple(name for name, value in required.items() if value is None)


def _split(url: str, form: str) -> SplitResult:
    """Return the parts of an address; one that has none is refused with the form to write."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where the port is none
    except ValueError:
        raise PydanticCustomError("address", "write {form}", {"form": form}) from None
    return parts


def _check_option(name: str, value: str) -> None:
    """Refuse an option of a PostgreSQL address that nobody would follow."""
    if name not in _POSTGRESQL_OPTIONS:
        known = one_of([name for name, called in _POSTGRESQL_OPTIONS.items() if called and name != "ssl"])
        text = "it has the option `{name}`, which is not one of {known}"
        raise PydanticCustomError("database_url", text, {"name": name, "known": known})
    if _POSTGRESQL_OPTIONS[name] == "ssl" and value not in _SSL_MODES:
        text = "`{name}` is not {known}"
        raise PydanticCustomError("database_url", text, {"name": name, "known": one_of(_SSL_MODES)})


def _each(secret: SecretStr | None) -> tuple[str, ...]:
    """Return the values of a setting that may hold several, separated by commas."""
    values = secret.get_secret_value().split(",") if secret else []
    return tuple(value.strip() for value in values if value.strip())


def read_settings() -> Settings:
    """Read the environment; raise `SettingsError`, which never repeats a value."""
    try:
        return Settings()
    except ValidationError as error:
        faults = (setting_fault(fault, Settings.model_fields) for fault in error.errors())
        raise SettingsError("; ".join(faults)) from None
