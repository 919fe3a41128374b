"""Several Workspace documents: which is the main one, what others may say, who sees which services."""

import pytest

from bot.policy.loader import load
from tests.policy.conftest import SERVICE, WORKSPACE, Write, faults_of

GLOBEX = """\
apiVersion: governor/v1
kind: Workspace
metadata: {name: globex}
spec:
  team: T0GLOBEX
  channels: {announcements: "#releases"}
  permissions: {freeze: ["@sre"], flags: {production: ["@sre"]}}
"""


def test_a_further_workspace_has_services_channels_and_permissions_of_its_own(write: Write) -> None:
    rockets = SERVICE.replace("name: checkout", "name: rockets").replace(
        "spec:", "spec:\n  workspace: globex", 1
    )
    found = load(write(a=WORKSPACE, b=GLOBEX, s=SERVICE, r=rockets))
    (globex,) = found.workspace.further
    assert (globex.team, globex.announcements) == ("T0GLOBEX", "T0GLOBEX/#releases")
    assert found.services["rockets"].channel.startswith("T0GLOBEX/#")
    main, theirs = found.seen_from(None), found.seen_from("T0GLOBEX")
    assert (set(main.services), set(theirs.services)) == ({"checkout"}, {"rockets"})
    assert theirs.workspace.permissions.freeze == ("@sre",)
    assert theirs.workspace.flags == main.workspace.flags
    assert [main.shows(one) for one in ("checkout", "rockets", None)] == [True, False, True]
    assert [theirs.shows(one) for one in ("checkout", "rockets", None)] == [False, True, False]


@pytest.mark.parametrize(
    ("replaced", "by", "words"),
    [
        ("  team: T0GLOBEX\n", "  team: T0GLOBEX\n  evaluateEvery: 5s\n", "belongs in the main Workspace"),
        ("  team: T0GLOBEX\n", "", "another Workspace"),
        ("T0GLOBEX", "globex", "is not a Slack workspace"),
        ("{production:", "{staging:", "unknown environment"),
        ("name: globex", "name: acme", "already the name"),
    ],
)
def test_faults_of_further_workspaces_are_named(write: Write, replaced: str, by: str, words: str) -> None:
    (fault,) = faults_of(write(a=WORKSPACE, b=GLOBEX.replace(replaced, by), s=SERVICE))
    assert words in fault.message


def test_the_main_workspace_is_told_from_further_ones(write: Write) -> None:
    pinned = WORKSPACE.replace("spec:", "spec:\n  team: T0ACME\n  evaluateEvery: 5s", 1)
    assert load(write(b=GLOBEX, z=pinned, s=SERVICE)).workspace.team == "T0ACME"
    same = pinned.replace("  evaluateEvery: 5s\n", "").partition("  sources:")[0]
    (fault,) = faults_of(write(b=GLOBEX, z=same, s=SERVICE))
    assert "no Workspace is the main one" in fault.message
    unknown = SERVICE.replace("spec:", "spec:\n  workspace: globx", 1)
    (fault,) = faults_of(write(b=GLOBEX, z=WORKSPACE, s=unknown))
    assert "did you mean" in fault.message


def test_each_workspace_has_a_time_zone_and_a_service_may_have_its_own(write: Write) -> None:
    berlin = WORKSPACE.replace("spec:", "spec:\n  timeZone: Europe/Berlin", 1)
    tokyo = GLOBEX.replace("spec:", "spec:\n  timeZone: Asia/Tokyo", 1)
    theirs = SERVICE.replace("name: checkout", "name: rockets").replace(
        "spec:", "spec:\n  workspace: globex", 1
    )
    own = SERVICE.replace("name: checkout", "name: cart").replace(
        "spec:", "spec:\n  timeZone: America/New_York", 1
    )
    found = load(write(a=berlin, b=tokyo, s=SERVICE, t=theirs, o=own))
    zones = {name: service.time_zone for name, service in found.services.items()}
    assert zones == {"cart": "America/New_York", "checkout": "Europe/Berlin", "rockets": "Asia/Tokyo"}
    assert found.service_or_stand_in("gone").time_zone == "Europe/Berlin"
    assert found.workspace.further[0].time_zone == "Asia/Tokyo"
    (fault,) = faults_of(write(a=berlin.replace("Berlin", "Berlyn")))
    assert "is not a time zone; did you mean `Europe/Berlin`?" in fault.message
