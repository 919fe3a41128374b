"""The schema agrees with the loader, and the written documentation with both."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import PlainValidator

from bot.policy.documents.documents import KINDS, ErrorBudgetPolicyDocument
from bot.policy.documents.json_schema import json_schema
from bot.policy.documents.model import Model
from bot.policy.loader import load, read
from tests.policy import reference
from tests.policy.conftest import CONTRACT
from tests.support.paths import POLICIES

SHIPPED = [*sorted(POLICIES.glob("*.yaml")), CONTRACT]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_the_schema_accepts_every_shipped_document(
    validator: jsonschema.Draft202012Validator, file: Path
) -> None:
    documents = list(yaml.safe_load_all(file.read_text()))
    assert documents
    for document in documents:
        assert faults_of(validator, document) == []


def faults_of(validator: jsonschema.Draft202012Validator, document: object) -> list[str]:
    return [fault.message for fault in validator.iter_errors(document)]


SERVICE: dict[str, object] = {
    "apiVersion": "governor/v1",
    "kind": "Service",
    "metadata": {"name": "checkout"},
    "spec": {"channel": "#checkout"},
}
SLO: dict[str, object] = {"name": "a", "objective": 99.9, "window": "30d", "sli": {"events": {}}}


def service(**slo: object) -> dict[str, object]:
    return SERVICE | {"spec": {"channel": "#checkout", "slos": [SLO | slo]}}


@pytest.mark.parametrize(
    "document",
    [
        SERVICE | {"kind": "Sevice"},
        SERVICE | {"apiVersion": "governor/v2"},
        SERVICE | {"metadata": {"name": "Check out"}},
        SERVICE | {"spec": {"channel": "checkout"}},
        SERVICE | {"spec": {"channel": "#checkout", "chanel": "#checkout"}},
        service(window=30),
        service(window="1:30"),
        service(window={"calendar": "decade"}),
        service(objective="most"),
        service(sli={}),
        service(sli={"events": {}, "downtime": {}}),
        service(sli={"prometheus": {"total": "a"}}),
        service(sli={"prometheus": {"totl": "a", "bad": "b"}}),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(
    validator: jsonschema.Draft202012Validator, document: dict[str, object], tmp_path: Path
) -> None:
    assert not validator.is_valid(document)
    file = tmp_path / "broken.yaml"
    workspace = (POLICIES / "workspace.yaml").read_text()
    file.write_text(workspace + "\n---\n" + yaml.safe_dump(document))
    with pytest.raises(ValueError, match=r"broken\.yaml"):
        load(file, {})


def test_a_placeholder_may_stand_where_the_loader_takes_one(
    validator: jsonschema.Draft202012Validator,
) -> None:
    spec = {"forEach": {"label": "service"}, "channel": "#%{service}", "flags": ["%{service}-new"]}
    assert faults_of(validator, SERVICE | {"metadata": {"name": "shop-%{service}"}, "spec": spec}) == []
    assert not validator.is_valid(SERVICE | {"spec": spec | {"forEach": {"label": "a-b"}}})


def test_a_value_from_the_environment_may_stand_anywhere(
    validator: jsonschema.Draft202012Validator,
) -> None:
    assert faults_of(validator, service(window="${WINDOW:-30d}", objective="${OBJECTIVE}")) == []


def test_every_key_has_a_description() -> None:
    for name, definition in json_schema()["$defs"].items():
        assert definition.get("description"), name
        for key, value in definition["properties"].items():
            assert value.get("description"), f"{name}.{key}"


def test_the_defaults_in_the_schema_are_the_models_own() -> None:
    envelope = {"apiVersion": "governor/v1", "kind": "ErrorBudgetPolicy", "metadata": {"name": "a"}}
    properties = json_schema()["$defs"]["ErrorBudgetPolicySpec"]["properties"]
    # `reviewAfter` has none: without it nobody is asked.
    assert [key for key, value in properties.items() if "default" not in value] == ["reviewAfter"]
    defaults = {key: value["default"] for key, value in properties.items() if "default" in value}
    written = envelope | {"spec": defaults}
    assert ErrorBudgetPolicyDocument.model_validate(written) == ErrorBudgetPolicyDocument.model_validate(
        envelope
    )


def test_the_schema_file_is_up_to_date() -> None:
    assert reference.SCHEMA.read_text() == reference.schema_text(), "run: python -m tests.policy.reference"


def test_every_key_is_documented() -> None:
    guide = reference.GUIDE.read_text()
    assert guide == reference.guide_text(guide), "run: python -m tests.policy.reference"
    sources = reference.SOURCES_GUIDE.read_text()
    assert sources == reference.sources_text(sources), "run: python -m tests.policy.reference"
    for kind in KINDS:
        assert reference.table(kind) in guide


@pytest.mark.parametrize("file", SHIPPED[:-1], ids=lambda file: file.name)
def test_shipped_files_point_editors_at_the_schema(file: Path) -> None:
    hint = file.read_text().splitlines()[0]
    assert hint.startswith("# yaml-language-server: $schema=")
    assert (file.parent / hint.partition("=")[2]).resolve() == reference.SCHEMA.resolve()


def test_the_documented_examples_load(tmp_path: Path) -> None:
    blocks = reference.GUIDE.read_text().split("```yaml\n")[1:]
    examples = [block.partition("```")[0] for block in blocks if block.startswith("apiVersion")]
    assert len(examples) == 7
    for index, example in enumerate(examples):
        file = tmp_path / f"{index}.yaml"
        file.write_text(example)
        load(file, {"MIMIR_PASSWORD": "made-up"})


def test_the_documented_example_of_for_each_makes_services_as_the_guide_says(tmp_path: Path) -> None:
    guide = reference.GUIDE.read_text()
    file = tmp_path / "shop.yaml"
    file.write_text(
        guide.split("### One document for many services")[1].split("```yaml\n")[1].split("```")[0]
    )
    policies = read(file, {})
    (wanted,) = policies.discovery_requests
    expanded = policies.expanded({wanted.key: ["Cart API", "cart_2", "checkout"]})
    assert expanded.faults == ()
    assert list(expanded.catalog.services) == ["cart-2", "cart-api", "checkout"]
    cart = expanded.catalog.services["cart-api"]
    assert cart.description == "Cart API of the shop."
    assert cart.flags == ("Cart-API-new-cart",)
    assert expanded.catalog.services["cart-2"].channel == "#cart_2"
    assert expanded.catalog.services["checkout"].slos == ()


def models_below(model: type[Model]) -> Iterator[type[Model]]:
    for each in model.__subclasses__():
        yield each
        yield from models_below(each)


def test_a_range_of_durations_that_is_described_is_the_one_that_is_checked() -> None:
    described = {}
    for model in models_below(Model):
        properties = json_schema()["$defs"].get(model.__name__, {}).get("properties", {})
        for name, field in model.model_fields.items():
            text = properties.get(field.alias or name, {}).get("description", "")
            said = re.search(r"\d+(?:ms|[smhdw]) to \d+(?:ms|[smhdw])", text)
            checks = [each.func for each in field.metadata if isinstance(each, PlainValidator)]
            limits = checks[0].keywords if checks and isinstance(checks[0], partial) else {}
            if said and "most" in limits:
                described[model.__name__, name] = said[0], f"{limits['least']} to {limits['most']}"
    assert {key: pair for key, pair in described.items() if pair[0] != pair[1]} == {}
    assert described["DatadogSourceSpec", "delay"] == ("0s to 6h", "0s to 6h")
    assert len(described) > 15
