"""A first folder is valid whatever the metrics say, and never written over what is there."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.slo import CounterSli
from bot.catalog.sources import PrometheusSettings
from bot.policy.first_policies.candidate import Candidate, slug
from bot.policy.first_policies.families import Kind
from bot.policy.first_policies.folder import FilesExistError, UnloadableError, write_folder
from bot.policy.first_policies.writing import PASSWORD, TOKEN, USERNAME, FolderSettings, documents
from bot.policy.loader import load

SETTINGS = FolderSettings("http://localhost:9090", "#releases")
CHECKOUT = Candidate(
    "checkout",
    "availability",
    Kind.HTTP,
    {
        "total": 'http_requests_total{service="checkout"}',
        "bad": 'http_requests_total{service="checkout",code=~"5.."}',
    },
    Decimal("99.9"),
    good=999,
    total=1_000,
    span=timedelta(days=7),
    origin="client libraries",
)


def test_the_folder_is_what_was_proposed_with_the_usual_policy_that_stops_nothing(tmp_path: Path) -> None:
    catalog, files = write_folder(tmp_path / "new" / "policies", documents([CHECKOUT], SETTINGS), {})
    assert [file.name for file in files] == ["workspace.yaml", "standard.yaml", "checkout.yaml"]
    assert load(tmp_path / "new" / "policies", {}) == catalog
    service = catalog.services["checkout"]
    (slo,) = service.slos
    assert slo.objective == Decimal("0.999")
    assert slo.sli == CounterSli("prometheus", CHECKOUT.sli["total"], bad=CHECKOUT.sli["bad"])
    assert service.error_budget_policy.name == "standard"
    assert service.mode is PolicyMode.OBSERVE
    assert len(service.error_budget_policy.burn_alerts) == 3
    assert catalog.workspace.announcements == "#releases"
    assert "99.9% of 1,000 were good" in (tmp_path / "new" / "policies" / "checkout.yaml").read_text()


def test_the_address_and_the_secrets_come_from_the_environment(tmp_path: Path) -> None:
    def source(name: str, login: tuple[str, ...], environ: Mapping[str, str]) -> PrometheusSettings:
        files = documents([CHECKOUT], replace(SETTINGS, login=login))
        assert "hush" not in "".join(files.values())
        catalog, _ = write_folder(tmp_path / name, files, environ)
        return cast("PrometheusSettings", catalog.workspace.sources["prometheus"])

    plain = source("plain", (), {"PROMETHEUS_URL": "http://other:9090"})
    assert (plain.url, plain.bearer_token, plain.basic_auth) == ("http://other:9090", None, None)
    assert source("token", (TOKEN,), {TOKEN: "hush"}).bearer_token == "hush"
    basic = source("basic", (USERNAME, PASSWORD), {USERNAME: "me", PASSWORD: "hush"})
    assert basic.basic_auth == ("me", "hush")


def test_files_that_are_there_stay_unless_they_are_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "checkout.yaml").write_text("# mine\n")
    with pytest.raises(FilesExistError, match=r"checkout\.yaml exist already"):
        write_folder(tmp_path, documents([CHECKOUT], SETTINGS), {})
    assert [file.name for file in tmp_path.iterdir()] == ["checkout.yaml"]
    assert (tmp_path / "checkout.yaml").read_text() == "# mine\n"
    write_folder(tmp_path, documents([CHECKOUT], SETTINGS), {}, replace=True)
    assert "kind: Service" in (tmp_path / "checkout.yaml").read_text()


def test_a_folder_that_has_a_workspace_already_gets_no_second_one(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "apiVersion: governor/v1\nkind: Workspace\nmetadata: {name: acme}\n"
        'spec: {channels: {announcements: "#own"}}\n'
    )
    with pytest.raises(UnloadableError) as refused:
        write_folder(tmp_path, documents([CHECKOUT], SETTINGS), {})
    assert {fault.file for fault in refused.value.faults} <= {
        str(tmp_path / "own.yaml"),
        str(tmp_path / "workspace.yaml"),
    }
    assert refused.value.faults
    assert [file.name for file in tmp_path.iterdir()] == ["own.yaml"]


@pytest.mark.parametrize("name", ["workspace", "standard"])
def test_a_service_may_bear_the_name_of_another_file(name: str, tmp_path: Path) -> None:
    catalog, files = write_folder(tmp_path, documents([replace(CHECKOUT, service=name)], SETTINGS), {})
    assert (set(catalog.services), len(files)) == ({name}, 3)


LABEL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(label=LABEL)
def test_whatever_a_label_says_the_folder_is_valid(
    tmp_path_factory: pytest.TempPathFactory, label: str
) -> None:
    import json  # noqa: PLC0415 - as the finder writes it

    quoted = json.dumps(label, ensure_ascii=False)
    sli = {"total": f"requests_total{{app={quoted}}}", "bad": f'requests_total{{app={quoted},code="500"}}'}
    name = slug(label) or "service"
    files = documents([replace(CHECKOUT, service=name, sli=sli)], SETTINGS)
    catalog, _ = write_folder(tmp_path_factory.mktemp("policies"), files, {"HOME": "x"})
    (slo,) = catalog.slos
    assert slo.sli == CounterSli("prometheus", sli["total"], bad=sli["bad"])
