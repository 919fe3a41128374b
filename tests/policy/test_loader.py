"""What a good set of documents means once it is loaded."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.catalog.catalog import Catalog, FlagEnvironment, Permissions
from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert, OnMissingData, PolicyMode
from bot.catalog.slo import CounterSli, DowntimeSli, EventsSli, LatencySli
from bot.catalog.sources import PrometheusSettings
from bot.catalog.teams import Teams
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow
from bot.policy.loader import PolicyError, load
from tests.policy.conftest import CONTRACT, POLICY, SERVICE, WORKSPACE, Write, faults_of
from tests.support.paths import POLICIES

LoadService = Callable[..., Catalog]
_NOBODY = 65_534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Read without the rights of root, which may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def for_everyone() -> Iterator[Path]:
    """A folder that every user may read; pytest's own are for the user who runs it."""
    folder = Path(tempfile.mkdtemp(prefix="governor-policies-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.iterdir():
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def contract() -> Catalog:
    return load(CONTRACT, {"PROMETHEUS_URL": "http://prometheus:9090/"})


def test_the_contracts_workspace_is_understood(contract: Catalog) -> None:
    workspace = contract.workspace
    assert (workspace.name, workspace.announcements, workspace.incidents) == (
        "acme",
        "#releases",
        "#incidents",
    )
    assert workspace.evaluate_every == timedelta(seconds=60)
    assert workspace.sources["prometheus"] == PrometheusSettings("http://prometheus:9090")
    assert workspace.flags.backend == "local"
    assert workspace.flags.environments == (
        FlagEnvironment("production", protected=True, default=True),
        FlagEnvironment("staging"),
    )
    assert workspace.permissions == Permissions(
        freeze=("@sre",),
        exempt=("@sre",),
        incidents=("everyone",),
        flags={"production": ("@checkout-devs", "@sre"), "staging": ("everyone",)},
    )


@pytest.mark.parametrize(
    ("written", "teams"),
    [
        ("{}", Teams()),
        ("{development: U0DANA}", Teams(("U0DANA",))),
        ("{development: [U0RILEY, U0DANA, U0RILEY], reliability: [U0SAM]}",
         Teams(("U0RILEY", "U0DANA"), ("U0SAM",))),
        ('{development: "@devs", reliability: ["@sre", U0SAM]}', Teams(("@devs",), ("@sre", "U0SAM"))),
    ],
)  # fmt: skip
def test_a_team_is_a_group_or_a_person_or_a_list(write: Write, written: str, teams: Teams) -> None:
    catalog = load(write(w=WORKSPACE, s=SERVICE + f"  teams: {written}\n"), {})
    assert catalog.services["checkout"].teams == teams


def test_the_contracts_service_is_understood(contract: Catalog) -> None:
    service = contract.services["checkout"]
    assert service.description == "Takes the customer's money."
    assert service.channel == "#checkout"
    assert service.teams == Teams(("@checkout-devs",), ("@sre",))
    assert service.flags == ("new-checkout",)
    availability, latency, uptime, orders = service.slos
    assert availability.key == "checkout/availability"
    assert availability.objective == Decimal("0.999")
    assert availability.window == RollingWindow(timedelta(days=30))
    assert availability.sli == CounterSli(
        "prometheus",
        total='http_requests_total{service="checkout"}',
        bad='http_requests_total{service="checkout",code=~"5.."}',
    )
    assert latency.sli == LatencySli(
        "prometheus",
        "http_request_duration_seconds",
        'service="checkout"',
        timedelta(milliseconds=300),
    )
    assert (uptime.sli, orders.sli) == (DowntimeSli(), EventsSli())


def test_the_contracts_policy_is_understood(contract: Catalog) -> None:
    policy = contract.services["checkout"].error_budget_policy
    assert policy.name == "standard"
    assert policy.warn_at == (Decimal("0.5"), Decimal("0.25"), Decimal("0.1"))
    assert (policy.freeze_at, policy.unfreeze_at) == (Decimal(0), Decimal("0.1"))
    assert policy.dwell == timedelta(minutes=15)
    assert policy.on_missing_data is OnMissingData.HOLD
    assert policy.burn_alerts[0] == BurnAlert(
        AlertSeverity.PAGE, Decimal("14.4"), timedelta(hours=1), timedelta(minutes=5)
    )
    assert policy.exemptions == ("P0", "security")
    assert policy.postmortem_at == Decimal("0.2")
    assert policy.mode is PolicyMode.ENFORCE
    assert policy.attribute_within == timedelta(days=1)


def test_without_a_policy_the_built_in_values_are_the_contracts(
    contract: Catalog, load_service: LoadService
) -> None:
    built_in = load_service('channel: "#checkout"').services["checkout"].error_budget_policy
    assert built_in == contract.services["checkout"].error_budget_policy


def test_a_policy_called_standard_judges_those_who_name_none(write: Write) -> None:
    policy = POLICY.replace("spec: {}", "spec: {dwell: 1h}")
    catalog = load(write(w=WORKSPACE, s=SERVICE, p=policy), {})
    assert catalog.services["checkout"].error_budget_policy.dwell == timedelta(hours=1)


def test_an_slo_may_name_its_own_policy(write: Write) -> None:
    strict = POLICY.replace("standard", "strict").replace("{}", "{freezeAt: 5%}")
    own = SERVICE + "      errorBudgetPolicy: strict\n"
    service = load(write(w=WORKSPACE, s=own, p=strict), {}).services["checkout"]
    assert service.policy_for(service.slos[0]).freeze_at == Decimal("0.05")
    assert service.error_budget_policy.freeze_at == 0


def test_the_shipped_example_loads_with_an_empty_environment() -> None:
    catalog = load(POLICIES, {})
    assert list(catalog.services) == ["checkout", "payments", "search"]
    assert catalog.workspace.sources["prometheus"] == PrometheusSettings("http://localhost:9090")


def test_a_calendar_window_has_a_time_zone(load_service: LoadService) -> None:
    catalog = load_service(
        """
        channel: C012AB3CD
        slos:
          - name: month
            objective: "99%"
            window: {calendar: month, timeZone: Europe/London}
            sli: {events: {}}
          - {name: quarter, objective: 99, window: {calendar: quarter}, sli: {downtime: {}}}
        """
    )
    month, quarter = catalog.slos
    assert month.window == CalendarWindow(CalendarUnit.MONTH, "Europe/London")
    assert quarter.window == CalendarWindow(CalendarUnit.QUARTER, "UTC")


@pytest.mark.parametrize(
    ("backend", "name", "settings"),
    [
        ("local", "local", {}),
        ('{unleash: {url: "https://u", token: "${T}"}}', "unleash", {"url": "https://u", "token": "t"}),
        ("{flagd: {file: flags.json}}", "flagd", {"file": "flags.json"}),
        ("{launchdarkly: {project: 1}}", "launchdarkly", {"project": 1}),
        ("{flagsmith: {}}", "flagsmith", {}),
    ],
)
def test_a_flag_backend_gets_its_settings_as_they_are(
    write: Write, backend: str, name: str, settings: dict[str, object]
) -> None:
    flags = load(write(w=f"{WORKSPACE}  flags: {{backend: {backend}}}\n"), {"T": "t"}).workspace.flags
    assert (flags.backend, flags.backend_settings) == (name, settings)
    assert flags.environments == (FlagEnvironment("production", protected=True, default=True),)


def test_the_first_environment_is_the_default_where_none_is_marked(write: Write) -> None:
    spec = "  flags: {environments: [{name: blue}, {name: green}]}\n"
    flags = load(write(w=WORKSPACE + spec), {}).workspace.flags
    assert [one.default for one in flags.environments] == [True, False]


def test_a_source_may_log_in_and_name_a_tenant(write: Write) -> None:
    sources = """\
    mimir:
      type: prometheus
      url: https://mimir.example.com/prometheus/
      basicAuth: {username: acme, password: "${PASSWORD}"}
      headers: {X-Scope-OrgID: shop}
      timeout: 1m
    thanos: {url: "http://thanos", bearerToken: "${TOKEN}"}
"""
    catalog = load(write(w=WORKSPACE + sources), {"PASSWORD": "p", "TOKEN": "t"})
    mimir, thanos = catalog.workspace.sources["mimir"], catalog.workspace.sources["thanos"]
    assert mimir == PrometheusSettings(
        "https://mimir.example.com/prometheus",
        basic_auth=("acme", "p"),
        headers={"X-Scope-OrgID": "shop"},
        timeout=timedelta(minutes=1),
    )
    assert thanos == PrometheusSettings("http://thanos", bearer_token="t")
    assert "'t'" not in repr(catalog)
    assert "'p'" not in repr(catalog)


def test_files_are_read_from_nested_folders_and_hidden_ones_passed_over(write: Write) -> None:
    folder = write(w=WORKSPACE, nested__deep__s=SERVICE, __hidden="", x="")
    (folder / "x.yaml").rename(folder / ".x.yaml")
    (folder / ".git").mkdir()
    (folder / ".git" / "config.yaml").write_text("broken: [")
    (folder / "README.md").write_text("not: [yaml")
    (folder / "hidden.yaml").unlink(missing_ok=True)
    for stray in folder.parent.glob("hidden.yaml"):
        stray.unlink()
    assert list(load(folder, {}).services) == ["checkout"]


def test_one_file_may_hold_the_whole_set_and_end_in_yml(tmp_path: Path) -> None:
    file = tmp_path / "all.yml"
    file.write_text(f"{WORKSPACE}---\n{POLICY}---\n{SERVICE}")
    assert load(file, {}) == load(tmp_path, {})


def test_documents_of_other_programs_are_passed_over(write: Write) -> None:
    foreign = "apiVersion: apps/v1\nkind: Deployment\non: {1: 2, 1: 3}\nx: ${UNSET}\n"
    folder = write(w=WORKSPACE, s=f"{foreign}---\n{SERVICE}")
    assert list(load(folder, {}).services) == ["checkout"]


def test_aliases_and_merge_keys_work(load_service: LoadService) -> None:
    catalog = load_service(
        """
        channel: "#checkout"
        slos:
          - &base {name: one, objective: 99, window: 7d, sli: &sli {events: {}}}
          - {<<: *base, name: two}
          - {<<: [{objective: 98}, *base], name: three, sli: *sli}
        """
    )
    assert [(slo.name, slo.objective) for slo in catalog.slos] == [
        ("one", Decimal("0.99")),
        ("two", Decimal("0.99")),
        ("three", Decimal("0.98")),
    ]


@pytest.mark.parametrize(
    ("written", "meaning"),
    [
        ("${NAME}", "value"),
        ("a ${NAME} b ${NAME}", "a value b value"),
        ("${UNSET:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${UNSET:-}", ""),
        ("${NAME:-default}", "value"),
        ("$${NAME}", "${NAME}"),
        ("$$", "$$"),
        ("$window $NAME $", "$window $NAME $"),
        ("${STRUCTURE}", "x}, evil: {y: [z"),
        ("${NESTED}", "${NAME}"),
    ],
)
def test_the_environment_fills_values_in_after_parsing(
    load_service: LoadService, written: str, meaning: str
) -> None:
    environ = {
        "NAME": "value",
        "EMPTY": "",
        "STRUCTURE": "x}, evil: {y: [z",
        "NESTED": "${NAME}",
    }
    spec = f"channel: '#checkout'\ndescription: '{written}'\n"
    assert load_service(spec, **environ).services["checkout"].description == meaning


def test_the_environment_can_say_numbers_and_switches(write: Write) -> None:
    folder = write(
        w=WORKSPACE
        + "  variables: [P, B, OBJECTIVE]\n  flags: {environments: [{name: a, protected: '${P}'}]}\n",
        s=SERVICE.replace("99.9", "${OBJECTIVE}"),
        p=POLICY.replace("{}", "{burnAlerts: [{severity: page, burn: '${B}', long: 1h, short: 5m}]}"),
    )
    catalog = load(folder, {"P": "true", "OBJECTIVE": "99.5", "B": "2.5"})
    assert catalog.workspace.flags.environments[0].protected
    assert catalog.slos[0].objective == Decimal("0.995")
    assert catalog.services["checkout"].error_budget_policy.burn_alerts[0].burn == 2.5


def test_the_digest_follows_the_meaning_not_the_spelling(write: Write) -> None:
    first = load(write(w=WORKSPACE, s=SERVICE), {})
    respelt = f"# hello\n{SERVICE}".replace("99.9", "99.90%").replace("30d", "720h")
    assert load(write(w=WORKSPACE, s=respelt), {}).digest == first.digest
    assert load(write(w=WORKSPACE, s=SERVICE.replace("99.9", "99")), {}).digest != first.digest


def test_the_digest_notices_a_changed_secret(write: Write) -> None:
    folder = write(w=WORKSPACE.replace('9090"}', '9090", bearerToken: "${TOKEN}"}'))
    one, other = load(folder, {"TOKEN": "one"}), load(folder, {"TOKEN": "two"})
    assert one.digest != other.digest
    assert "one" not in one.digest


def test_the_digest_does_not_depend_on_files_and_order(write: Write, tmp_path: Path) -> None:
    apart = load(write(a=WORKSPACE, b=SERVICE, c=POLICY), {})
    file = tmp_path / "together.yaml"
    file.write_text(f"{POLICY}---\n{SERVICE}---\n{WORKSPACE}")
    assert load(file, {}).digest == apart.digest


def test_a_folder_that_does_not_exist_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path / "nowhere")
    assert fault.message == "the folder does not exist"
    assert fault.line is None


def test_a_subfolder_that_cannot_be_read_is_a_fault_rather_than_empty(
    write: Write, for_everyone: Path
) -> None:
    shutil.copytree(write(workspace=WORKSPACE, s=SERVICE), for_everyone, dirs_exist_ok=True)
    for name in ("teams", "lost+found"):
        (for_everyone / name).mkdir()
    (for_everyone / "teams" / "search.yaml").write_text(SERVICE.replace("checkout", "search"))
    assert set(load(for_everyone).services) == {"checkout", "search"}
    (for_everyone / "lost+found").chmod(0)
    (for_everyone / "teams").chmod(0)
    with as_nobody(), pytest.raises(PolicyError) as broken:
        load(for_everyone)
    assert [str(fault) for fault in broken.value.faults] == [
        f"{for_everyone}/teams: the folder cannot be read: Permission denied"
    ]
    (for_everyone / "teams").chmod(0o755)
    with as_nobody():
        assert set(load(for_everyone).services) == {"checkout", "search"}


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path)
    assert "no policy file" in fault.message


def test_a_set_needs_exactly_one_workspace(write: Write) -> None:
    (fault,) = faults_of(write(s=SERVICE))
    assert "no Workspace" in fault.message
    (fault,) = faults_of(write(a=WORKSPACE, s=SERVICE, b="\n" + WORKSPACE))
    assert fault.position.endswith("b.yaml:3:7")
    assert "another Workspace in" in fault.message
    assert fault.message.endswith("a.yaml:1")
