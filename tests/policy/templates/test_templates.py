"""One Service document for many services: checked as a whole, and each value for itself."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.slo import CounterSli, GaugeSli, RatioSli
from bot.policy.loader import read
from bot.policy.policy_set import ExpandedCatalog, PolicySet
from bot.policy.templates.label_values import LabelKey
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of

SHOP = """\
apiVersion: governor/v1
kind: Service
metadata: {name: shop}
spec:
  forEach: {label: service, match: http_requests_total, except: [internal]}
  description: The %{service} of the shop.
  channel: "#%{service}-alerts"
  teams: {development: "@%{service}-devs", reliability: "@sre"}
  flags: ["%{service}-cart", new-cart]
  repository: acme/%{service}
  slos:
    - name: availability
      objective: 99.9
      window: 30d
      sli:
        prometheus:
          total: http_requests_total{service="%{service}"}
          bad: sum(increase(http_requests_total{service="%{service}",code=~"5.."}[$window]))
"""
ASKED = LabelKey("shop", "service")


def policies(write: Write, shop: str = SHOP, **others: str) -> PolicySet:
    workspace = WORKSPACE + "  variables: [NAME]\n"
    return read(write(workspace=workspace, shop=shop, **others), {"NAME": "eu"})


def made(write: Write, *values: str, shop: str = SHOP, **others: str) -> ExpandedCatalog:
    loaded = policies(write, shop, **others)
    (wanted,) = loaded.discovery_requests
    return loaded.expanded({wanted.key: values})


def faults(write: Write, expanded: ExpandedCatalog) -> list[str]:
    folder = str(write())
    return [str(fault).removeprefix(f"{folder}/") for fault in expanded.faults]


def test_each_value_is_a_service_like_any_other(write: Write) -> None:
    expanded = made(write, "Cart API", "search")
    assert expanded.faults == ()
    assert expanded.counts == {"Service/shop": 2}
    cart = expanded.catalog.services["cart-api"]
    assert list(expanded.catalog.services) == ["cart-api", "search"]
    assert (cart.name, cart.description, cart.channel) == (
        "cart-api",
        "The Cart API of the shop.",
        "#cart-api-alerts",
    )
    assert (cart.teams.development, cart.teams.reliability) == (("@cart-api-devs",), ("@sre",))
    assert cart.flags == ("Cart-API-cart", "new-cart")
    assert cart.repository == "acme/Cart-API"
    (slo,) = cart.slos
    assert slo.service == "cart-api"
    assert slo.sli == CounterSli(
        "prometheus",
        'http_requests_total{service="Cart API"}',
        'sum(increase(http_requests_total{service="Cart API",code=~"5.."}[$window]))',
    )


def test_samples_and_sums_hold_the_placeholder_too(write: Write) -> None:
    document = """
apiVersion: governor/v1
kind: Service
metadata: {name: probes}
spec:
  forEach: {label: service}
  channel: "#ops"
  slos:
    - {name: up, objective: 99, window: 30d, sli: {prometheus: {gauge: 'up{service="%{service}"}'}}}
    - {name: share, objective: 99, window: 30d, sli: {prometheus: {ratio: 'sli{service="%{service}"}'}}}
    - name: both
      objective: 99
      window: 30d
      sli: {prometheus: {total: 'a{s="%{service}"} + b{s="%{service}"}', bad: 'c{s=~"%{service}"}'}}
"""
    up, share, both = made(write, "a.b", shop=document).catalog.services["a-b"].slos
    assert up.sli == GaugeSli("prometheus", 'up{service="a.b"}')
    assert share.sli == RatioSli("prometheus", 'sli{service="a.b"}')
    assert both.sli == CounterSli("prometheus", 'a{s="a.b"} + b{s="a.b"}', 'c{s=~"a\\\\.b"}')


def test_while_no_value_is_known_it_stands_for_none(write: Write) -> None:
    expanded = policies(write).expanded({})
    assert expanded.catalog.services == {}
    assert expanded.counts == {"Service/shop": 0}


def test_the_name_may_hold_the_placeholder_and_the_environment(write: Write) -> None:
    shop = SHOP.replace("{name: shop}", '{name: "${NAME}-%{service}"}')
    expanded = made(write, "cart", shop=shop)
    assert list(expanded.catalog.services) == ["eu-cart"]
    assert expanded.counts == {"Service/eu-%{service}": 1}


def test_a_bad_value_names_document_and_value_and_costs_no_other_its_service(write: Write) -> None:
    expanded = made(write, "日本", "cart", "y" * 70, "internal")
    assert list(expanded.catalog.services) == ["cart"]
    place = "shop.yaml:3:18: Service/shop metadata.name: the value"
    slug = "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"
    assert faults(write, expanded) == [
        f"{place} `{'y' * 70}` of `service`: `%{{service}}` is not a name (allowed: {slug})",
        f"{place} `日本` of `service`: no sign of it can stand in `%{{service}}`",
    ]


def test_a_value_that_fits_the_name_may_still_make_no_channel(write: Write) -> None:
    shop = SHOP.replace("%{service}-alerts", "%{service}-" + "x" * 60)
    (fault,) = faults(write, made(write, "a" * 30, "b", shop=shop))
    assert fault.startswith("shop.yaml:7:12: Service/shop spec.channel: the value `aaa")
    assert "is not a channel" in fault


def test_a_value_may_not_give_a_service_the_same_flag_twice(write: Write) -> None:
    (fault,) = faults(write, made(write, "new", "old", shop=SHOP))
    assert "spec.flags[1]: the value `new` of `service`: `new-cart` is in this list twice" in fault


def test_names_are_kept_by_who_had_them_first(write: Write) -> None:
    expanded = made(write, "cart_api", "cart.api", "Checkout", checkout=SERVICE)
    assert list(expanded.catalog.services) == ["cart-api", "checkout"]
    assert expanded.catalog.services["checkout"].channel == "#checkout"
    assert expanded.catalog.services["cart-api"].description == "The cart_api of the shop."
    taken, clash = faults(write, expanded)
    assert "the value `cart.api` of `service`: it would be called `cart-api`, and so is" in clash
    assert "and so is the value `cart_api` of Service/shop" in clash
    assert "the value `Checkout` of `service`: it would be called `checkout`, and so is" in taken
    assert f"and so is Service/checkout in {write()}/checkout.yaml:1" in taken


def test_two_documents_may_not_make_the_same_service(write: Write) -> None:
    other = SHOP.replace("{name: shop}", "{name: again}").replace(
        "label: service", "label: service, limit: 9"
    )
    loaded = policies(write, other=other)
    known = {one.key: ["cart"] for one in loaded.discovery_requests}
    expanded = loaded.expanded(known)
    assert expanded.counts == {"Service/again": 1, "Service/shop": 0}
    assert len(expanded.faults) == 1


def test_beyond_the_limit_there_is_one_fault_and_no_service(write: Write) -> None:
    shop = SHOP.replace("label: service,", "label: service, limit: 2,")
    expanded = made(write, "c", "b", "a", shop=shop)
    assert list(expanded.catalog.services) == ["b", "c"]
    (fault,) = faults(write, expanded)
    assert fault.startswith("shop.yaml:5:12: Service/shop spec.forEach: `service` has more than 2 values;")


def test_a_thousand_are_allowed_unless_said_otherwise(write: Write) -> None:
    values = [f"s{number}" for number in range(1001)]
    expanded = made(write, *values)
    assert len(expanded.catalog.services) == 1000
    assert len(expanded.faults) == 1


def test_the_catalog_changes_with_the_values_and_only_with_them(write: Write) -> None:
    loaded = policies(write)
    digests = [loaded.expanded({ASKED: values}).catalog.digest for values in (["a"], ["a", "b"], ["a"])]
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("label: service,", "", "5:12: Service/shop spec.forEach: `label` is missing"),
        ("label: service", "label: a-b", "5:20: Service/shop spec.forEach.label: `a-b` is not a label"),
        ("except:", "but:", "5:57: Service/shop spec.forEach: unknown key `but`"),
        ("label: service,", "label: service, limit: 0,", "spec.forEach.limit: `0` is out of range"),
        ("label: service,", "label: service, limit: a,", "spec.forEach.limit: `a` is not a whole number"),
        ("label: service,", "label: service, keepFor: 2y,", "spec.forEach.keepFor: "),
        ("match: http", "match: $window_http", "spec.forEach.match: `$window_http"),
        ("match: http_requests_total", 'match: "up[$window]"', "query with $window does not go here"),
        ("label: service,", "label: service, source: prometeus,", "unknown source `prometeus`; did you mean"),
        ("#%{service}", "#%{servce}", "7:12: Service/shop spec.channel: `%{servce}` is not the value of"),
        ('total: http_requests_total{service="%{service}"}', "total: a_%{service}", "17:18: Service/shop"),
        ("objective: 99.9", 'objective: "%{service}"', "13:18: Service/shop spec.slos[0].objective"),
        ("objective: 99.9", "objective: 100", "13:18: Service/shop spec.slos[0].objective: an objective of"),
        ("#%{service}", "#Shop-%{service}", "spec.channel: `#Shop-%{service}-alerts` is not a channel"),
    ],
)
def test_the_document_is_checked_without_any_value(write: Write, right: str, wrong: str, fault: str) -> None:
    assert right in SHOP
    found = texts_of(write(workspace=WORKSPACE, shop=SHOP.replace(right, wrong)))
    assert len(found) == 1
    assert fault in found[0]


def test_without_for_each_a_placeholder_is_told(write: Write) -> None:
    shop = SHOP.replace("  forEach: {label: service, match: http_requests_total, except: [internal]}\n", "")
    found = texts_of(write(workspace=WORKSPACE, shop=shop))
    assert len(found) == 6
    assert all("is replaced by a value only where `forEach` names a label" in text for text in found)


def test_a_source_must_be_there_to_be_asked(write: Write) -> None:
    workspace = WORKSPACE.replace("prometheus: {url", "thanos: {url")
    shop = SHOP.replace("        prometheus:\n", "        thanos:\n")
    (fault,) = texts_of(write(workspace=workspace, shop=shop))
    assert (
        "spec.forEach: `source` is missing, and no source is called `prometheus` (allowed: thanos)" in fault
    )
    (fault,) = texts_of(write(shop=shop.replace("label: service,", "label: service, source: events,")))
    assert "spec.forEach.source: unknown source `events`" in fault


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    folder: Path = tmp_path_factory.mktemp("policies")
    (folder / "all.yaml").write_text(WORKSPACE + "---\n" + SHOP)
    return read(folder, {})


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80), unique=True))
def test_every_value_is_a_service_or_a_fault(shop: PolicySet, values: list[str]) -> None:
    expanded = shop.expanded({ASKED: values})
    wanted = [value for value in values if value != "internal"]
    assert len(expanded.catalog.services) + len(expanded.faults) == len(wanted)
    alone = [shop.expanded({ASKED: [value]}).catalog.services for value in wanted]
    assert {name for services in alone for name in services} == set(expanded.catalog.services)
