"""The documents of a first folder, as a person would write them, with comments. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import yaml

from bot.formatting import duration_code, percent_text
from bot.policy.first_policies.candidate import WINDOW, Candidate

SOURCE = "prometheus"
"""The name of the source in the documents."""
TOKEN = "PROMETHEUS_TOKEN"  # noqa: S105 - the variable's name
USERNAME, PASSWORD = "PROMETHEUS_USERNAME", "PROMETHEUS_PASSWORD"
URL = "PROMETHEUS_URL"


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """What the documents say besides the candidates; `login` is which variables of the environment log in."""

    url: str
    channel: str
    login: tuple[str, ...] = ()


_WORKSPACE = """\
# What holds for the whole workspace. Written by `governor init`: yours to change from here on.
# All that can be said here: docs/policies.md; `governor check` names every fault with its line.
apiVersion: governor/v1
kind: Workspace
metadata: {{name: main}}
spec:
  # Freezes, unfreezes and faults in these files are told here. Invite the bot to it.
  channels:
    announcements: {channel}

  # Where good and bad events are counted; the environment may name another address.
  sources:
    {source}:
      url: {url}{login}

  # Who may change what. Everybody may ask. "@name" is a user group, "#name" the members of a channel,
  # U… a person. Until somebody is named, nobody can freeze a service or let a change through a freeze.
  permissions:
    freeze: []
    exempt: []
    incidents: everyone
"""
_BY_BEARER = """
      bearerToken: "${{{token}}}"   # from the environment: secrets never stand in these files"""
_BY_BASIC_AUTH = """
      # From the environment: secrets never stand in these files.
      basicAuth: {{username: "${{{username}}}", password: "${{{password}}}"}}"""
_STANDARD = """\
# What happens as an error budget shrinks: the policy of every service that names no other.
# Written by `governor init`: yours to change from here on.
#
# An objective of 99.9% allows one event in 1,000 to be bad. That is the error budget; levels are of what
# remains of it: 100% is untouched, 0% spent, below 0% overspent.
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec:
  # To begin with, everything is decided and shown, and nothing is stopped. Once both teams agree,
  # write `enforce`.
  mode: observe

  warnAt: [50%, 25%, 10%]        # each told once, and again only after recovery above it
  freezeAt: 0%                   # at or below: only exempt changes ship
  unfreezeAt: 10%                # at or above ...
  dwell: 15m                     # ... for this long: the freeze is lifted
  onMissingData: hold            # what cannot be measured changes nothing

  # How fast the budget is being spent, after the Google SRE Workbook: told when both windows burn at
  # least `burn` times as fast as the objective allows.
  burnAlerts:
    - {severity: page, burn: 14.4, long: 1h, short: 5m}     # 2% of a month's budget in an hour
    - {severity: page, burn: 6, long: 6h, short: 30m}       # 5% in six hours
    - {severity: ticket, burn: 1, long: 3d, short: 6h}      # 10% in three days

  exemptions: [P0, security]     # what may ship through a freeze, with proof
  postmortemAt: 20%              # an incident that spends more of the budget needs a postmortem
"""
_SERVICE = """\
# Written by `governor init` from the metrics of {origins}: yours to change from here on.
apiVersion: governor/v1
kind: Service
metadata: {{name: {name}}}
spec:
  channel: {channel}           # its own channel, where it has one
  # Who builds it, and who answers for it: user groups, or people's ids. They are notified when it freezes.
  # teams: {{development: "@{handle}-devs", reliability: "@sre"}}

  # A service is judged by the worst of its SLOs.
  slos:
"""


def documents(candidates: Sequence[Candidate], settings: FolderSettings) -> Mapping[str, str]:
    """Return the texts of the folder's files by name."""
    by_service: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_service[candidate.service].append(candidate)
    files = {"workspace.yaml": _workspace(settings), "standard.yaml": _STANDARD}
    # A service may bear the name of one of the two.
    return files | {
        f"service-{name}.yaml" if f"{name}.yaml" in files else f"{name}.yaml": _service(name, own, settings)
        for name, own in by_service.items()
    }


def _workspace(settings: FolderSettings) -> str:
    login = ""
    if settings.login == (TOKEN,):
        login = _BY_BEARER.format(token=TOKEN)
    elif settings.login:
        login = _BY_BASIC_AUTH.format(username=USERNAME, password=PASSWORD)
    url = _scalar(f"${{{URL}:-{settings.url}}}")
    return _WORKSPACE.format(channel=_scalar(settings.channel), source=SOURCE, url=url, login=login)


def _service(name: str, candidates: Sequence[Candidate], settings: FolderSettings) -> str:
    origins = " and ".join(dict.fromkeys(candidate.origin for candidate in candidates))
    head = _SERVICE.format(
        origins=origins, name=_scalar(name), handle=name, channel=_scalar(settings.channel)
    )
    return head + "\n".join("\n".join(_slo(candidate)) + "\n" for candidate in candidates)


def _slo(candidate: Candidate) -> Iterator[str]:
    yield f"    # {_lately(candidate)}"
    if candidate.note:
        yield f"    # {candidate.note[:1].upper()}{candidate.note[1:]}."
    yield f"    - name: {candidate.name}"
    yield f"      objective: {candidate.objective}            # percent; {_allowed(candidate.objective)}"
    yield f"      window: {duration_code(WINDOW)}"
    yield "      sli:"
    yield f"        {SOURCE}:"
    for key, value in candidate.sli.items():
        # What the metrics say is no reference to the environment.
        yield f"          {key}: {_scalar(value.replace('${', '$${'))}"


def _lately(candidate: Candidate) -> str:
    if candidate.share is None:
        return f"In the last {duration_code(candidate.span)} nothing was counted."
    good = percent_text(candidate.share, plain=True)
    return f"In the last {duration_code(candidate.span)}, {good} of {candidate.total:,.0f} were good."


def _allowed(objective: Decimal) -> str:
    minutes = float((100 - objective) / 100) * WINDOW.total_seconds() / 60
    return f"{minutes:,.4g} minutes of full outage in {duration_code(WINDOW)}"


def _scalar(text: str) -> str:
    """Return a text as YAML on one line, plain where that is the same text and no reader stumbles over it."""
    if (
        re.fullmatch(r"[a-z][a-z0-9-]*|[0-9]+(?:ms|s|m|h)|[a-z_:][a-zA-Z0-9_:]*\{[^#\n]*\}", text)
        and yaml.safe_load(text) == text
    ):
        return text
    style = "'" if '"' in text and "'" not in text and text.isprintable() else '"'
    return yaml.safe_dump(text, default_style=style, width=10**6, allow_unicode=True).strip()
