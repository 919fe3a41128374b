"""What is written into a namespace: the same for the same holds, within limits, never early to end."""

from datetime import UTC, datetime, timedelta, timezone

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.clusters import ClusterSettings, ServiceWorkloads
from bot.gates.kubernetes.release_holds import HeldService, digest_in, lapse, object_of, spec_of
from tests.gates.kubernetes.api_server import admission_objects

CLUSTER = ClusterSettings(
    "production",
    namespaces=("shop", "payments"),
    workloads=(
        ServiceWorkloads("checkout", "payments", ("worker", "api")),
        ServiceWorkloads("cart", "payments", ("cart",)),
    ),
)
AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def test_workloads_are_named_in_their_own_namespace() -> None:
    held = [HeldService("checkout", "why", ends=AT, exempt=("sha256:" + "b" * 64, "sha256:" + "a" * 64))]
    entry = {
        "service": "checkout",
        "reason": "why",
        "until": "2026-11-27T12:00:00Z",
        "exempt": ["sha256:" + "a" * 64, "sha256:" + "b" * 64],
    }
    assert spec_of(CLUSTER, "shop", held) == {"holds": [entry]}
    assert spec_of(CLUSTER, "payments", held) == {"holds": [entry | {"workloads": ["api", "worker"]}]}


def test_an_end_is_in_whole_seconds_of_utc_and_never_early() -> None:
    end = datetime(2026, 11, 27, 14, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    (entry,) = spec_of(CLUSTER, "shop", [HeldService("checkout", "why", begins=AT, ends=end)])["holds"]
    assert (entry["from"], entry["until"]) == ("2026-11-27T12:00:00Z", "2026-11-27T12:00:01Z")


def test_a_hold_without_an_end_lapses_after_a_day_and_is_written_once_an_hour() -> None:
    times = [AT + timedelta(minutes=minute) for minute in range(180)]
    assert all(timedelta(hours=24) < lapse(at) - at <= timedelta(hours=25) for at in times)
    assert len({lapse(at) for at in times}) == 3


def test_digests_are_found_in_names_of_changes() -> None:
    digest = "sha256:" + "0af1" * 16
    for text in (digest, f"registry.example.com/shop/checkout@{digest}", f" {digest.upper()} "):
        assert digest_in(text) == digest
    for text in ("PR-12", "sha256:0af1", f"{digest}0", "checkout@PR-12", ""):
        assert digest_in(text) is None


texts = st.text(max_size=700)
held_services = st.builds(
    HeldService,
    st.from_regex(r"[a-z]{1,20}", fullmatch=True),
    texts,
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.none() | st.datetimes(timezones=st.just(UTC), max_value=datetime(9999, 1, 1)),  # noqa: DTZ001
    st.lists(st.just("sha256:" + "a" * 64), max_size=3).map(tuple),
)


@given(st.lists(held_services, max_size=8))
def test_what_is_written_is_taken_whatever_the_reasons_say(held: list[HeldService]) -> None:
    (crd,) = [each for each in admission_objects() if each["kind"] == "CustomResourceDefinition"]
    spec = spec_of(CLUSTER, "payments", held)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    jsonschema.validate(object_of("payments", "enforced", spec, "7"), schema)
    assert spec == spec_of(CLUSTER, "payments", list(reversed(held))) or len(
        {each.service for each in held}
    ) < len(held)


def test_what_is_held_now_goes_before_what_will_be_where_there_is_no_room_for_all() -> None:
    (crd,) = [each for each in admission_objects() if each["kind"] == "CustomResourceDefinition"]
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    coming = [HeldService(f"a{each}", "a holiday", AT, AT + timedelta(hours=8)) for each in range(1_200)]
    current = [HeldService(f"z{each}", "why") for each in range(600)]
    kept = [{"service": f"k{each}", "reason": "of before"} for each in range(300)]
    spec = spec_of(CLUSTER, "shop", [*coming, *current], kept)
    jsonschema.validate(object_of("shop", "enforced", spec, "7"), schema)
    held = {entry["service"] for entry in spec["holds"] if "from" not in entry}
    assert held == {each.service for each in current} | {each["service"] for each in kept}
