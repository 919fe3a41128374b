"""Governor's own sync window: active until the hold ends by Argo CD's rule; no other is touched."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from dateutil.rrule import YEARLY, rrule
from hypothesis import given
from hypothesis import strategies as st

from bot.gates.argocd.sync_window import MARK, ProjectHold, is_own, patch_of, window_of
from tests.gates.kubernetes.api_server import _json_patched

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
APPS = ("checkout-*", "cart")


def is_active(window: dict[str, Any], at: datetime) -> bool:
    """Return what Argo CD finds: whether the schedule's first time after `at - duration` is before `at`."""
    duration = timedelta(hours=int(window["duration"].removesuffix("h")))
    if window["schedule"] == "* * * * *":
        return True
    minute, hour, day, month, weekday = window["schedule"].split()
    assert weekday == "*"
    after = at - duration
    start = rrule(
        YEARLY, bymonth=int(month), bymonthday=int(day), byhour=int(hour), byminute=int(minute), bysecond=0,
        dtstart=after.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0),
    ).after(after)  # fmt: skip
    return start is not None and start < at


@given(
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=99)),
    st.datetimes(datetime(2026, 1, 1), datetime(2032, 1, 1)),  # noqa: DTZ001
)
def test_a_window_is_active_until_the_hold_ends_and_not_after(left: timedelta, now: datetime) -> None:
    now = now.replace(tzinfo=UTC)
    ends = now + left
    window = window_of(ProjectHold(APPS, "why", ends), now)
    if window["schedule"] != "* * * * *" and window["schedule"].split()[2:4] == ["29", "2"]:
        return  # it comes in leap years only, and this is one
    for at in (now + timedelta(seconds=1), ends - timedelta(seconds=1)):
        assert at <= now or is_active(window, at)
    over = ends + timedelta(minutes=1, seconds=1)
    assert not is_active(window, over)
    assert not is_active(window, over + timedelta(days=200))


def test_a_window_without_an_end_is_always_active_and_lets_syncs_under_way_go_on() -> None:
    window = window_of(ProjectHold(APPS, "person hold: peak sale", None), NOW)
    assert window == {
        "kind": "deny",
        "schedule": "* * * * *",
        "duration": "1h",
        "applications": [MARK, *APPS],
        "manualSync": False,
        "timeZone": "UTC",
        "syncOverrun": True,
        "description": "Governor: person hold: peak sale",
    }
    assert window_of(ProjectHold(APPS, "why", NOW + timedelta(days=150)), NOW)["schedule"] == "* * * * *"


others = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["allow", "deny"]),
            "schedule": st.just("0 22 * * *"),
            "duration": st.just("1h"),
        },
        optional={"applications": st.lists(st.text(max_size=5), max_size=3), "manualSync": st.booleans()},
    ),
    max_size=4,
)
holds = st.none() | st.builds(
    ProjectHold,
    st.lists(st.sampled_from(["a", "b-*"]), min_size=1, max_size=2).map(tuple),
    st.sampled_from(["why", "because"]),
    st.none() | st.just(NOW + timedelta(hours=2)),
)


@given(st.none() | others, st.lists(holds, min_size=1, max_size=4), st.booleans())
def test_other_windows_stay_byte_for_byte_and_ours_is_there_once(
    theirs: list[dict[str, Any]] | None, wanted: list[ProjectHold | None], old: bool
) -> None:
    project: dict[str, Any] = {"metadata": {"resourceVersion": "7"}, "spec": {"destinations": []}}
    if theirs is not None:
        project["spec"]["syncWindows"] = copy.deepcopy(theirs)
    for hold in wanted:
        window = None if hold is None else window_of(hold, NOW)
        operations = patch_of(project, window)
        assert not operations or operations[0]["op"] == "test"
        project = _json_patched(copy.deepcopy(project), operations)
        windows = project["spec"].get("syncWindows") or []
        for each in windows:
            if old and is_own(each):
                # An Argo CD that does not know these keys drops them.
                each.pop("description", None)
                each.pop("syncOverrun", None)
        assert [each for each in windows if not is_own(each)] == (theirs or [])
        own = [each for each in windows if is_own(each)]
        assert len(own) == (hold is not None)
        assert not patch_of(project, window), "it is in step"
    if wanted[-1] is None and not theirs:
        assert project["spec"].get("syncWindows") in (None, [])


def test_surplus_windows_of_ours_go() -> None:
    window = window_of(ProjectHold(APPS, "why", None), NOW)
    theirs = {"kind": "allow", "schedule": "0 9 * * *", "duration": "8h"}
    project = {"spec": {"syncWindows": [window, theirs, window]}}
    patched = _json_patched(copy.deepcopy(project), patch_of(project, window))
    assert patched["spec"]["syncWindows"] == [window, theirs]
    assert _json_patched(patched, patch_of(patched, None))["spec"]["syncWindows"] == [theirs]


def test_a_window_that_somebody_opened_for_manual_syncs_is_closed_again() -> None:
    window = window_of(ProjectHold(APPS, "why", None), NOW)
    project = {"spec": {"syncWindows": [window | {"manualSync": True}]}}
    test, replaced = patch_of(project, window)
    assert test["op"] == "test"
    assert (replaced["op"], replaced["value"]["manualSync"]) == ("replace", False)
