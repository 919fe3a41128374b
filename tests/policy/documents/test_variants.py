"""`variants` in a Service document: which label tells who met a flag."""

import json

import jsonschema
import pytest
import yaml

from bot.catalog.variants import Variants
from bot.policy.documents.json_schema import json_schema
from bot.policy.loader import load
from tests.policy.conftest import SERVICE, WORKSPACE, Write, faults_of

FLAGS = SERVICE.replace("  slos:", "  flags: [new-checkout, dark-mode]\n  variants: {VARIANTS}\n  slos:")


def document(variants: str) -> str:
    return FLAGS.replace("VARIANTS", variants)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("label: variant, control: off", Variants("variant", "off")),
        ('label: variant, control: "off"', Variants("variant", "off")),
        ("label: enabled, control: false, treatment: true", Variants("enabled", "false", "true")),
        ("label: variant, control: Off, treatment: on", Variants("variant", "Off", "on")),
        ("label: cohort, control: control-1", Variants("cohort", "control-1")),
    ],
)
def test_switches_are_the_label_s_values_as_they_are_written(
    write: Write, written: str, meant: Variants
) -> None:
    service = load(write(shop=WORKSPACE, checkout=document(written))).services["checkout"]
    assert service.variants is not None
    assert (service.variants.label, service.variants.control, service.variants.treatment) == (
        meant.label,
        meant.control,
        meant.treatment,
    )
    assert service.variants_of("dark-mode") == service.variants_of("new-checkout") == service.variants


def test_a_label_tells_about_the_flags_that_are_named(write: Write) -> None:
    text = document("label: variant, control: off, flags: [new-checkout]")
    service = load(write(shop=WORKSPACE, checkout=text)).services["checkout"]
    assert service.variants_of("new-checkout") is not None
    assert service.variants_of("dark-mode") is None


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("control: off", "`label` is missing"),
        ("label: variant", "`control` is missing"),
        ("label: 1st, control: off", "is not a label's name"),
        ("label: variant, control: off, treatment: off", "`treatment` and `control` are the same value"),
        ('label: variant, control: ""', "is not a label's value"),
        ("label: variant, control: 1", "YAML reads"),
        ("label: variant, control: off, flags: [new-chekout]", "did you mean"),
        ("label: variant, control: off, flags: [dark-mode, dark-mode]", "is in this list twice"),
        ("label: variant, controll: off", "unknown key"),
    ],
)
def test_what_cannot_be_meant_is_a_fault_where_it_stands(write: Write, written: str, words: str) -> None:
    faults = faults_of(write(shop=WORKSPACE, checkout=document(written)))
    assert words in "\n".join(str(fault) for fault in faults)
    assert len(faults) == 1


def test_a_service_without_flags_has_no_variants(write: Write) -> None:
    text = SERVICE.replace("  slos:", "  variants: {label: variant, control: off}\n  slos:")
    (fault,) = faults_of(write(shop=WORKSPACE, checkout=text))
    assert "the service names none" in fault.message


def test_editors_take_what_the_loader_takes() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(json_schema())))
    assert validator.is_valid(yaml.safe_load(document("label: variant, control: off, treatment: on")))
    assert not validator.is_valid(yaml.safe_load(document("label: variant, control: 3")))
