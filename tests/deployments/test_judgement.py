"""Tests of which deployments failed, which are suspected, and when each recovered."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.deployments.judgement import (
    NO_DEPLOYMENT,
    DeploymentJudgement,
    DeploymentLink,
    LinkMeans,
    ServiceIncident,
    SuccessfulDeployment,
    judge,
    restorations,
)

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def deployment(id_: str, hours: float, **others: str | None) -> SuccessfulDeployment:
    ended = NOON + hours * HOUR
    return SuccessfulDeployment(id_, f"{id_}-commit", ended - HOUR / 12, ended, **others)


def incident(id_: int, start: float, end: float | None = None, *, counts: bool = True) -> ServiceIncident:
    ended = None if end is None else NOON + end * HOUR
    return ServiceIncident(id_, NOON + start * HOUR, ended, counts)


def link(
    deployment_id: str,
    incident_id: int,
    *,
    service: str = "checkout",
    means: LinkMeans = LinkMeans.PERSON,
    is_removed: bool = False,
) -> DeploymentLink:
    return DeploymentLink(service, deployment_id, incident_id, means, "U1", NOON, is_removed)


def judged(
    deployments: list[SuccessfulDeployment],
    incidents: list[ServiceIncident] | None = None,
    links: list[DeploymentLink] | None = None,
) -> Mapping[str, DeploymentJudgement]:
    return judge("checkout", deployments, incidents or [], links or [])


def failed(judgements: Mapping[str, DeploymentJudgement]) -> list[str]:
    return sorted(id_ for id_, each in judgements.items() if each.has_failed)


def suspected(judgements: Mapping[str, DeploymentJudgement]) -> list[str]:
    return sorted(id_ for id_, each in judgements.items() if each.is_suspected)


def test_a_linked_deployment_failed_and_recovered_with_its_incident() -> None:
    result = judged([deployment("a", 0), deployment("b", 1)], [incident(1, 1.5, 2)], [link("b", 1)])

    assert failed(result) == ["b"]
    assert result["b"].incidents == (1,)
    assert result["b"].recovered_at == NOON + 2 * HOUR
    assert suspected(result) == []


def test_a_deployment_with_two_incidents_failed_once_and_recovered_with_the_later() -> None:
    incidents = [incident(1, 1.5, 5), incident(2, 2, 3)]

    result = judged([deployment("a", 1)], incidents, [link("a", 1), link("a", 2)])

    assert result["a"].incidents == (1, 2)
    assert result["a"].recovered_at == NOON + 5 * HOUR
    still_open = judged([deployment("a", 1)], [incidents[0], incident(2, 2)], [link("a", 1), link("a", 2)])
    assert still_open["a"].has_failed
    assert still_open["a"].recovered_at is None


def test_an_undone_deployment_failed_and_recovered_when_the_rollback_ended() -> None:
    result = judged([deployment("a", 0), deployment("b", 1), deployment("back", 2, undoes="b")])

    assert failed(result) == ["b"]
    assert result["b"].undone_by == "back"
    assert result["b"].recovered_at == NOON + 2 * HOUR


def test_a_rollback_of_a_rollback_is_no_failure_of_the_rollback() -> None:
    forward = [
        deployment("a", 0),
        deployment("b", 1),
        deployment("back", 2, undoes="b"),
        deployment("forward", 3, undoes="back"),
    ]

    assert failed(judged(forward)) == ["b"]
    assert judged(forward)["b"].recovered_at == NOON + 2 * HOUR
    again = [*forward, deployment("back again", 4, undoes="forward")]
    assert failed(judged(again)) == ["b", "forward"]
    assert judged(again)["forward"].recovered_at == NOON + 4 * HOUR


def test_what_was_undone_twice_recovered_the_first_time() -> None:
    result = judged(
        [deployment("a", 1), deployment("first", 2, undoes="a"), deployment("second", 3, undoes="a")]
    )

    assert failed(result) == ["a"]
    assert result["a"].undone_by == "first"


def test_the_incident_says_when_it_recovered_where_it_was_also_undone() -> None:
    result = judged(
        [deployment("a", 1), deployment("back", 9, undoes="a")],
        [incident(1, 1.5, 2)],
        [link("a", 1, means=LinkMeans.ROLLBACK)],
    )

    assert result["a"].recovered_at == NOON + 2 * HOUR


def test_nothing_but_the_last_deployment_before_an_unexplained_incident_is_suspected() -> None:
    deployments = [deployment("a", 0), deployment("b", 1), deployment("c", 3)]

    result = judged(deployments, [incident(1, 2, 4)])

    assert failed(result) == []
    assert suspected(result) == ["b"]
    assert result["b"].suspected_of == (1,)
    assert result["b"].recovered_at is None


def test_a_deployment_that_is_going_on_when_an_incident_begins_is_suspected() -> None:
    slow = SuccessfulDeployment("slow", "commit", NOON, NOON + HOUR)

    assert suspected(judged([deployment("a", -1), slow], [incident(1, 0.5)])) == ["slow"]


def test_a_deployment_is_suspected_for_a_day() -> None:
    assert suspected(judged([deployment("a", 0)], [incident(1, 24)])) == ["a"]
    assert suspected(judged([deployment("a", 0)], [incident(1, 24.01)])) == []


def test_an_incident_before_the_first_deployment_accuses_nobody() -> None:
    result = judged([deployment("a", 0)], [incident(1, -1, 3)])

    assert result["a"].suspected_of == ()
    assert not result["a"].has_failed


def test_an_explained_incident_makes_nobody_else_suspected() -> None:
    deployments = [deployment("a", 0), deployment("b", 1)]

    assert suspected(judged(deployments, [incident(1, 2)], [link("a", 1)])) == []
    assert suspected(judged(deployments, [incident(1, 2)], [link("x", 1, service="payments")])) == []
    assert suspected(judged(deployments, [incident(1, 2)], [link(NO_DEPLOYMENT, 1)])) == []
    assert failed(judged(deployments, [incident(1, 2)], [link(NO_DEPLOYMENT, 1)])) == []


def test_a_flag_explains_an_incident_and_makes_no_deployment_fail() -> None:
    for means in (LinkMeans.GUARD, LinkMeans.FLAG):
        result = judged([deployment("a", 0)], [incident(1, 1)], [link("a", 1, means=means)])

        assert failed(result) == []
        assert suspected(result) == []


def test_a_link_that_was_taken_back_counts_for_nothing() -> None:
    result = judged(
        [deployment("a", 0), deployment("b", 1)], [incident(1, 2)], [link("a", 1, is_removed=True)]
    )

    assert failed(result) == []
    assert suspected(result) == ["b"]


def test_cancelled_and_merged_incidents_count_for_nothing() -> None:
    result = judged([deployment("a", 0)], [incident(1, 1, counts=False)], [link("a", 1)])

    assert failed(result) == []
    assert suspected(result) == []


def test_jobs_of_one_run_are_one_deployment() -> None:
    jobs = [deployment("job 1", 1, run="7"), deployment("job 2", 1.2, run="7", rework="hotfix")]

    result = judged(
        [deployment("a", 0), *jobs, deployment("back", 3, undoes="job 1")],
        [incident(1, 2, 4)],
        [link("job 2", 1)],
    )

    assert result["job 1"] == result["job 2"]
    assert result["job 1"].reports == ("job 1", "job 2")
    assert result["job 1"].incidents == (1,)
    assert result["job 1"].undone_by == "back"
    assert result["job 1"].rework == "hotfix"


def test_duplicates_change_nothing() -> None:
    deployments = [deployment("a", 0), deployment("b", 1), deployment("back", 2, undoes="b")]
    incidents, links = [incident(1, 1.5, 3), incident(2, 2.5)], [link("b", 1)]

    assert judged(deployments * 2, incidents * 2, links * 2) == judged(deployments, incidents, links)


def test_an_incident_over_a_months_end_is_its_deployments() -> None:
    # The deployment ended in March, its incident in April.
    result = judged(
        [deployment("march", 11), deployment("april", 13)], [incident(1, 11.5, 14)], [link("march", 1)]
    )

    assert failed(result) == ["march"]
    assert result["march"].recovered_at == datetime(2026, 4, 1, 2, tzinfo=UTC)


def test_rows_that_undo_themselves_or_each_other_end_in_an_answer() -> None:
    assert failed(judged([deployment("a", 0, undoes="a")])) == []
    assert restorations({"a": "b", "b": "a", "c": None, "d": "unknown"}) >= {"d"}


@given(
    st.lists(st.integers(0, 12), max_size=12), st.lists(st.integers(-2, 60), max_size=6), st.integers(0, 12)
)
def test_earlier_rows_change_nothing_about_later_deployments(
    undone: list[int], starts: list[int], first: int
) -> None:
    deployments = [
        deployment(str(number), 4 * number, undoes=str(target) if target < number else None)
        for number, target in enumerate(undone)
    ]
    incidents = [incident(id_, start + 0.5, start + 2) for id_, start in enumerate(starts)]
    links = [link(str(id_), id_) for id_ in range(0, len(incidents), 2)]
    undoing = [each for each in deployments[:first] if each.undoes is not None]

    everything = judged(deployments, incidents, links)
    part = judged([*undoing, *deployments[first:]], incidents, links)

    for each in deployments[first:]:
        assert part[each.id] == everything[each.id]
