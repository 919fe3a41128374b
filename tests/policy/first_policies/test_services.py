"""Which label tells services apart, in series that are named in many ways."""

from bot.policy.first_policies.families import Family, Kind
from bot.policy.first_policies.services import ServiceSeries, services

HTTP = Family("tests", Kind.HTTP, "http_requests_total")


def found(*series: dict[str, str]) -> list[tuple[str, tuple[tuple[str, str], ...], str | None]]:
    return [(each.service, each.labels, each.status) for each in services(HTTP, series)]


def test_the_first_label_with_several_values_tells_them_apart() -> None:
    assert found(
        {"job": "pods", "app": "a", "component": "web", "code": "200"},
        {"job": "pods", "app": "b", "component": "web", "code": "200"},
    ) == [("a", (("app", "a"),), "code"), ("b", (("app", "b"),), "code")]


def test_without_one_it_is_the_job() -> None:
    assert found({"job": "shop", "status": "200"}, {"job": "shop", "status": "500"}) == [
        ("shop", (("job", "shop"),), "status")
    ]


def test_each_job_may_name_services_and_statuses_in_its_own_way() -> None:
    assert found(
        {"job": "one", "service": "a", "code": "200"},
        {"job": "one", "service": "b", "code": "200"},
        {"job": "two", "status": "200"},
        {"job": "three", "service": "c"},
    ) == [
        ("two", (("job", "two"),), "status"),
        ("a", (("service", "a"),), "code"),
        ("b", (("service", "b"),), "code"),
        ("c", (("service", "c"),), None),
    ]


def test_one_name_in_two_namespaces_is_two_services_and_in_one_it_is_short() -> None:
    assert found(
        {"job": "pods", "app": "web", "namespace": "prod"},
        {"job": "pods", "app": "web", "namespace": "test"},
        {"job": "pods", "app": "mail", "namespace": "prod"},
    ) == [
        ("mail", (("app", "mail"),), None),
        ("prod-web", (("namespace", "prod"), ("app", "web")), None),
        ("test-web", (("namespace", "test"), ("app", "web")), None),
    ]


def test_series_of_nobody_and_names_that_no_policy_takes_are_left_out() -> None:
    assert found({"job": "pods", "app": "unknown"}, {"job": "pods", "app": "ÄÖ"}, {"path": "/"}) == []


def test_a_series_belongs_to_a_service_that_has_all_its_labels() -> None:
    place = ServiceSeries("web", (("namespace", "prod"), ("app", "web")))
    assert place.has({"namespace": "prod", "app": "web", "code": "200"})
    assert not place.has({"app": "web"})
