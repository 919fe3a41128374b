"""Other tools' documents among the policies: their services, what these lack, faults in their terms."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.catalog.catalog import Catalog
from bot.catalog.slo import CounterSli
from bot.policy.faults import PolicyError, PolicyFault
from bot.policy.formats.imported_services import ImportRules
from bot.policy.formats.services import services_of
from bot.policy.loader import load, read, read_over
from bot.policy.templates.label_values import LabelKey
from tests.policy.conftest import SERVICE, WORKSPACE, Write, indented
from tests.policy.formats.foreign_texts import read_one

SLOTH = """\
version: prometheus/v1
service: checkout
labels: {team: shop}
slos:
  - name: errors
    objective: 99.5
    sli:
      events:
        error_query: sum(rate(http_requests_total{job="checkout",code=~"5.."}[{{.window}}]))
        total_query: sum(rate(http_requests_total{job="checkout"}[{{.window}}]))
"""
PYRRA = """\
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata:
  name: search
  labels: {pyrra.dev/team: shop}
  annotations: {governor/channel: "#search"}
spec:
  target: "99"
  window: 4w
  indicator:
    ratio:
      errors: {metric: 'http_requests_total{job="search",code=~"5.."}'}
      total: {metric: 'http_requests_total{job="search"}'}
"""
GROUPED = f"{PYRRA}      grouping: [route]\n"
FOR_ALL = "imports: [{folder: ., defaults: [{channel: '#slo'}]}]"


def workspace(spec: str) -> str:
    return WORKSPACE + indented(spec)


def faults(folder: Path) -> Sequence[PolicyFault]:
    with pytest.raises(PolicyError) as raised:
        read(folder, {})
    return raised.value.faults


def keys(catalog: Catalog) -> list[str]:
    return sorted(slo.key for slo in catalog.slos)


def test_documents_of_other_tools_are_services(write: Write) -> None:
    catalog = load(write(w=workspace(FOR_ALL), s=f"{SLOTH}---\n{PYRRA}"), {})
    assert keys(catalog) == ["checkout/errors", "search/search"]
    checkout, search = catalog.services.values()
    assert (checkout.channel, search.channel) == ("#slo", "#search")
    assert (checkout.labels, search.labels) == ({"team": "shop"}, {"team": "shop"})
    (slo,) = checkout.slos
    assert str(slo.window) == str(load(write(), {}).slos[0].window)
    assert slo.sli == CounterSli(
        "prometheus",
        'http_requests_total{job="checkout"}',
        'http_requests_total{job="checkout",code=~"5.."}',
        None,
    )


def test_the_digest_covers_them(write: Write) -> None:
    first = load(write(w=workspace(FOR_ALL), s=SLOTH), {}).digest
    assert load(write(s=f"# the same\n{SLOTH}"), {}).digest == first
    assert load(write(s=SLOTH.replace("99.5", "99.6")), {}).digest != first


def test_a_service_without_a_channel_is_a_fault_that_names_the_ways(write: Write) -> None:
    (fault,) = faults(write(w=WORKSPACE, s=SLOTH))
    assert str(fault).endswith(
        "s.yaml:5:1: service checkout slos[0]: the service `checkout` has no channel "
        "(allowed: the annotation governor/channel, a `channel` under `defaults` of `imports` in the "
        "Workspace document, or a Service document of that name)"
    )


def test_annotations_come_before_defaults_for_labels_before_those_for_all(write: Write) -> None:
    spec = """
    imports:
      - folder: .
        defaults:
          - {channel: "#all", teams: {development: "@all", reliability: "@sre"}}
          - {labels: {team: shop}, channel: "#shop", teams: {development: ["@shop"]}}
          - {labels: {team: shop, job: none}, channel: "#none"}
    """
    other = SLOTH.replace("team: shop", "team: other").replace("service: checkout", "service: other")
    catalog = load(write(w=workspace(spec), s=f"{SLOTH}---\n{PYRRA}---\n{other}"), {})
    found = {
        name: (service.channel, service.teams.development, service.teams.reliability)
        for name, service in catalog.services.items()
    }
    assert found == {
        "checkout": ("#shop", ("@shop",), ("@sre",)),
        "search": ("#search", ("@shop",), ("@sre",)),
        "other": ("#all", ("@all",), ("@sre",)),
    }


def test_annotations_name_teams_the_policy_and_the_service(write: Write) -> None:
    annotations = (
        '{governor/channel: "#search", governor/development-team: "U012AB3CD, U012AB3CE", '
        'governor/reliability-team: "@sre", governor/policy: strict, governor/service: find}'
    )
    policy = "apiVersion: governor/v1\nkind: ErrorBudgetPolicy\nmetadata: {name: strict}\n"
    text = PYRRA.replace('{governor/channel: "#search"}', annotations)
    (service,) = load(write(w=WORKSPACE, p=policy, s=text), {}).services.values()
    assert (service.name, service.teams.development) == ("find", ("U012AB3CD", "U012AB3CE"))
    assert service.policies["search"].name == "strict"


def test_slos_of_a_service_come_from_several_documents_and_its_own(write: Write) -> None:
    more = SLOTH.replace("name: errors", "name: orders")
    folder = write(w=WORKSPACE, a=SERVICE, b=SLOTH, c=more)
    catalog = load(folder, {})
    assert keys(catalog) == ["checkout/availability", "checkout/errors", "checkout/orders"]
    assert catalog.services["checkout"].channel == "#checkout"


@pytest.mark.parametrize("own", [True, False])
def test_two_slos_of_a_service_with_one_name_are_a_fault_of_the_later(own: bool, write: Write) -> None:
    first = SERVICE.replace("availability", "errors") if own else SLOTH
    (fault,) = faults(write(w=workspace(FOR_ALL), a=first, b=SLOTH))
    where = "the policies" if own else f"{Path(fault.file).with_name('a.yaml')}:5"
    assert (Path(fault.file).name, fault.line) == ("b.yaml", 5)
    assert fault.message == f"`errors` is already an SLO of the service `checkout`, in {where}"


def test_documents_that_disagree_on_a_channel_are_a_fault(write: Write) -> None:
    other = PYRRA.replace("name: search", "name: other").replace('"#search"', '"#other"')
    texts = [text.replace("{pyrra.dev/team: shop}", "{pyrra.dev/service: find}") for text in (PYRRA, other)]
    (fault,) = faults(write(w=WORKSPACE, a=texts[0], b=texts[1]))
    assert Path(fault.file).name == "b.yaml"
    assert fault.message.startswith("the channel of `find` is `#other` here, and `#search` in ")


def test_a_bad_annotation_is_a_fault_where_it_stands(write: Write) -> None:
    (fault,) = faults(write(w=WORKSPACE, s=PYRRA.replace('"#search"', "search")))
    assert (fault.line, fault.document) == (6, "ServiceLevelObjective/search")
    assert fault.path == "metadata.annotations[`governor/channel`]"
    assert fault.message == "`search` is not a channel"


def test_an_unknown_policy_or_source_is_a_fault_of_the_document(write: Write) -> None:
    text = PYRRA.replace('"#search"}', '"#search", governor/policy: strict}')
    spec = "imports: [{folder: ., source: mimir}]"
    found = faults(write(w=workspace(spec), s=text))
    assert {Path(fault.file).name for fault in found} == {"s.yaml"}
    assert [fault.message.partition(";")[0] for fault in found] == [
        "unknown ErrorBudgetPolicy `strict`",
        "unknown source `mimir`",
    ]


def test_what_is_refused_is_a_fault_with_its_line(write: Write) -> None:
    (fault,) = faults(write(w=WORKSPACE, s=PYRRA.replace('"99"', '"990"')))
    assert (fault.line, fault.path) == (8, "spec.target")
    assert fault.message == "the objective `990` is not between 0 and 100"


def test_what_cannot_be_measured_is_passed_over_and_known(write: Write) -> None:
    plugin = "version: prometheus/v1\nservice: a\nslos:\n- {name: b, objective: 9, sli: {plugin: {id: c}}}\n"
    policies = read(write(w=WORKSPACE, a=SERVICE, s=plugin), {})
    assert keys(policies.expanded({}).catalog) == ["checkout/availability"]
    ((file, line, reason),) = policies.imported.passed_over
    assert (Path(file).name, line, "plug-in `c`" in reason) == ("s.yaml", 4, True)


def notes(tmp_path: Path, text: str) -> list[str]:
    """Return what is said of a document's services."""
    reading = read_one(tmp_path, text)
    services = services_of([(reading, ImportRules("prometheus"))], {}, needs_channel=False)
    return [note.message for note in services.notes_of(reading) if note not in reading.notes]


def test_names_become_names_of_policies(write: Write, tmp_path: Path) -> None:
    text = SLOTH.replace("service: checkout", "service: Check_Out").replace(
        "name: errors", "name: errors.5xx"
    )
    policies = read(write(w=workspace(FOR_ALL), s=text), {})
    assert keys(policies.expanded({}).catalog) == ["check-out/errors-5xx"]
    assert notes(tmp_path, text) == [
        "the name `Check_Out` becomes `check-out`",
        "the name `errors.5xx` becomes `errors-5xx`",
    ]


def test_grouping_is_a_service_for_each_value(write: Write) -> None:
    policies = read(write(w=WORKSPACE, s=GROUPED), {})
    (request,) = policies.discovery_requests
    assert (request.key.label, request.source, request.match) == (
        "route",
        "prometheus",
        'http_requests_total{job="search"}',
    )
    known = {LabelKey("search-%{route}", "route"): ["/cart", '/"x"']}
    catalog = policies.expanded(known).catalog
    assert keys(catalog) == ["search-cart/search", "search-x/search"]
    assert catalog.services["search-x"].slos[0].sli == CounterSli(
        "prometheus",
        'http_requests_total{job="search",route="/\\"x\\""}',
        'http_requests_total{job="search",code=~"5..",route="/\\"x\\""}',
        None,
    )


def test_slos_of_one_service_that_group_different_series_are_services_of_their_own(write: Write) -> None:
    first, second = (
        GROUPED.replace("{pyrra.dev/team: shop}", "{pyrra.dev/service: find}").replace("name: search", name)
        for name in ("name: one", "name: two")
    )
    policies = read(write(w=WORKSPACE, s=f"{first}---\n{second.replace('job=', 'app=')}"), {})
    assert [request.key.document for request in policies.discovery_requests] == [
        "find-one-%{route}",
        "find-two-%{route}",
    ]


def test_of_several_labels_the_first_has_services(write: Write, tmp_path: Path) -> None:
    text = GROUPED.replace("[route]", "[route, method]")
    policies = read(write(w=WORKSPACE, s=text), {})
    assert [request.key.label for request in policies.discovery_requests] == ["route"]
    assert policies.imported.omissions == 1
    assert notes(tmp_path, text) == [
        "each value of `route` gets a service; those of `method` are counted together"
    ]


def test_folders_to_import_are_read_beside_whatever_else_they_hold(write: Write, tmp_path: Path) -> None:
    slos = tmp_path / "slos" / "shop"
    slos.mkdir(parents=True)
    (slos / "sloth.yaml").write_text(f"{SLOTH}---\napiVersion: apps/v1\nkind: Deployment\n", encoding="utf-8")
    (slos / "values.yaml").write_text("a: [unclosed\n", encoding="utf-8")
    (slos / "chart.yaml").write_text("{{ .Values.x }}\n", encoding="utf-8")
    spec = "imports: [{folder: ../slos, window: 7d, defaults: [{channel: '#slo'}]}]"
    folder = write(w=workspace(spec), s=PYRRA)
    policies = read(folder, {})
    # The folder of policies is not among them, so that its own are passed over.
    assert keys(policies.expanded({}).catalog) == ["checkout/errors"]
    assert [path.resolve() for path in policies.imported.folders] == [tmp_path / "slos"]


def test_nothing_is_read_where_no_folder_is_named(write: Write) -> None:
    assert keys(load(write(w=workspace("imports: []"), a=SERVICE, s=SLOTH), {})) == ["checkout/availability"]


def test_a_document_in_two_folders_is_of_the_nearer_one(write: Write, tmp_path: Path) -> None:
    spec = """
    imports:
      - {folder: .., defaults: [{channel: "#far"}]}
      - {folder: ./near, defaults: [{channel: "#near"}]}
    """
    catalog = load(write(w=workspace(spec), near__s=SLOTH), {})
    assert [service.channel for service in catalog.services.values()] == ["#near"]


def test_a_folder_that_is_not_there_is_a_fault_of_the_workspace(write: Write) -> None:
    (fault,) = faults(write(w=workspace("imports: [{folder: ../slos}]")))
    assert (Path(fault.file).name, fault.path) == ("w.yaml", "spec.imports[0].folder")
    assert fault.message.startswith("there is no folder")


def test_a_policy_in_a_folder_to_import_is_a_fault(write: Write, tmp_path: Path) -> None:
    (tmp_path / "slos").mkdir()
    (tmp_path / "slos" / "a.yaml").write_text(SERVICE, encoding="utf-8")
    (fault,) = faults(write(w=workspace("imports: [{folder: ../slos}]")))
    assert fault.message == "this document belongs in the folder of policies"


HELM = SLOTH.replace("service: checkout", "service: {{ .Values.service }}")


@pytest.mark.parametrize("text", [HELM, HELM.replace("{{ .Values.service }}", '"{{ .Values.service }}"')])
@pytest.mark.parametrize("is_imported", [True, False])
def test_a_template_of_helm_is_named_as_one(
    text: str, is_imported: bool, write: Write, tmp_path: Path
) -> None:
    if is_imported:
        (tmp_path / "slos").mkdir()
        (tmp_path / "slos" / "a.yaml").write_text(text, encoding="utf-8")
        folder = write(w=workspace("imports: [{folder: ../slos}]"))
    else:
        folder = write(w=WORKSPACE, a=text)
    (fault,) = faults(folder)
    assert (Path(fault.file).name, fault.line) == ("a.yaml", 2)
    assert fault.message == (
        "this is a template of Helm, `{{ .Values.service }}`, that was not filled in; "
        "read what `helm template` prints"
    )


def test_variables_of_the_environment_are_not_filled_in(write: Write) -> None:
    text = SLOTH.replace("    objective", "    description: costs ${SECRET}\n    objective")
    (service,) = load(write(w=workspace(FOR_ALL), s=text), {"SECRET": "x"}).services.values()
    assert service.description == "costs ${SECRET}"


def test_other_documents_with_imports_are_read_for_a_backtest_too(write: Write, tmp_path: Path) -> None:
    folder = write(w=workspace(FOR_ALL), s=SLOTH)
    changes = tmp_path / "changes.yaml"
    changes.write_text(PYRRA, encoding="utf-8")
    assert keys(read_over(folder, changes, {}).expanded({}).catalog) == ["checkout/errors", "search/search"]


def test_thousands_of_documents_are_read(write: Write) -> None:
    count = 2_000
    texts = {
        f"s{part}": "---\n".join(
            SLOTH.replace("checkout", f"shop-{number}") for number in range(part, count, 20)
        )
        for part in range(20)
    }
    begun = time.process_time()
    catalog = load(write(w=workspace(FOR_ALL), **texts), {})
    assert len(catalog.slos) == count
    # Not how quick it is, but that it does not grow with the square of the documents.
    assert time.process_time() - begun < 60
