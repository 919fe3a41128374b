"""The cause on an incident's card, in its postmortem and its API object, and how people name it."""

from datetime import timedelta

from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.judgement import LinkMeans
from bot.http.serializers import incident_json
from bot.incidents.causes.cause import CausingDeployment, CausingFlag, IncidentCauses
from bot.incidents.downtime import Impact
from bot.incidents.incident import Incident, Severity, Status
from bot.incidents.snapshot import IncidentSnapshot
from bot.slack.announcements.cause_phrases import causes_text, confirmed_text
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.incidents.card import card_blocks
from bot.slack.incidents.causes.form import cause_form, read_cause
from tests.support.clock import HOUR, MINUTE, NOW

INCIDENT = Incident(
    id=7,
    key="k",
    title="Checkout 500s",
    severity=Severity.SEV2,
    status=Status.INVESTIGATING,
    services=("checkout",),
    private=False,
    opened_by="U0DANA",
    opened_at=NOW,
    impacts=(Impact(NOW, None, 0.3),),
)


def causing(
    commit: str, before: timedelta, means: LinkMeans | None = None, **fields: object
) -> CausingDeployment:
    values: dict[str, object] = {
        "id": f"id {commit}",
        "environment": "production",
        "commit": commit,
        "by": "octocat",
        "state": DeploymentState.SUCCEEDED,
        "started_at": NOW - before - MINUTE,
        "finished_at": NOW - before,
        "is_production": True,
    }
    linked_by = None if means is None else "U0SAM" if means is LinkMeans.PERSON else "governor"
    return CausingDeployment(Deployment(**(values | fields)), ("checkout",), means, linked_by)  # type: ignore[arg-type]


SAID = causing("3f1c2abdd", 12 * MINUTE, LinkMeans.PERSON, url="https://ci.example/1")
FOUND = causing("aaaaaaaaa", HOUR, LinkMeans.ROLLBACK)
NEAR = causing("bbbbbbbbb", timedelta(seconds=20))


def snapshot(**causes: object) -> IncidentSnapshot:
    return IncidentSnapshot(INCIDENT, {}, NOW, causes=IncidentCauses(**causes))  # type: ignore[arg-type]


def test_the_card_says_what_caused_it_and_how_that_is_known() -> None:
    assert causes_text(INCIDENT, IncidentCauses((SAID, FOUND))) == (
        "Caused by `3f1c2ab`, 12\u00a0min before, says <@U0SAM> (<https://ci.example/1|details>).\n"
        "Caused by `aaaaaaa`, 1\u00a0h before: it was rolled back."
    )
    blocks = str(card_blocks(snapshot(confirmed=(SAID,))))
    assert "*Cause*\\nCaused by `3f1c2ab`" in blocks
    assert "Caused by…" in blocks


def test_what_is_only_near_is_called_suspected() -> None:
    assert causes_text(INCIDENT, IncidentCauses(suspected=(NEAR,))) == (
        "Suspected, not confirmed: `bbbbbbb`, less than a minute before, deployed by octocat."
    )
    assert confirmed_text(INCIDENT, IncidentCauses(suspected=(NEAR,))) == ""


def test_flags_and_the_word_that_no_deployment_was_it_are_told() -> None:
    flags = (CausingFlag("checkout-v2 in production", LinkMeans.GUARD, "governor"),)

    assert causes_text(INCIDENT, IncidentCauses(flags=flags)) == (
        "The flag `checkout-v2 in production`: its guard rolled it back."
    )
    assert causes_text(INCIDENT, IncidentCauses(cleared_by="U0SAM")) == "No deployment, says <@U0SAM>."
    assert causes_text(INCIDENT, IncidentCauses()) == ""


def test_other_environments_services_and_failures_are_named() -> None:
    cause = causing(
        "1.4.2", -2 * MINUTE, LinkMeans.REVERT, environment="prod-eu", state=DeploymentState.FAILED
    )

    of_search = CausingDeployment(cause.deployment, ("search",), cause.means)
    assert causes_text(INCIDENT, IncidentCauses((of_search,))) == (
        "Caused by `1.4.2` to prod-eu (search), which failed, 2\u00a0min after it began: "
        "its change was taken back."
    )


def test_the_form_offers_the_deployments_and_reads_each_answer_back() -> None:
    form = cause_form(snapshot(confirmed=(FOUND,)), [NEAR, SAID, FOUND])
    (menu,) = [block for block in form.inputs if block["type"] == "input"]
    options = {option["value"]: option["text"]["text"] for option in menu["element"]["options"]}

    assert options == {
        "id id aaaaaaaaa": "aaaaaaa, 1\u00a0h before",
        "id id bbbbbbbbb": "bbbbbbb, less than a minute before",
        "id id 3f1c2abdd": "3f1c2ab, 12\u00a0min before",
        "none": "No deployment caused it",
        "open": "Not known yet: take back what was said",
    }
    assert menu["element"]["initial_option"]["value"] == "id id aaaaaaaaa"
    chosen = [
        read_cause(SubmittedModal(form.callback, "m", "U0SAM", "7", "C1", "", {"deployment": value}))
        for value in options
    ]
    assert chosen == ["id aaaaaaaaa", "id bbbbbbbbb", "id 3f1c2abdd", "", None]


def test_a_form_where_nothing_is_known_preselects_nothing() -> None:
    form = cause_form(snapshot(suspected=(NEAR,)), [NEAR])
    (menu,) = [block for block in form.inputs if block["type"] == "input"]

    assert [option["value"] for option in menu["element"]["options"]] == ["id id bbbbbbbbb", "none"]
    assert "initial_option" not in menu["element"]


def test_the_postmortem_names_the_deployment_and_nobody_who_deployed_it() -> None:
    document = snapshot(confirmed=(SAID, FOUND)).postmortem.markdown()

    assert "Caused by the deployment of 3f1c2ab to production (checkout), which ended " in document
    assert "; it was rolled back." in document
    assert "[details](https://ci.example/1)" in document
    assert "octocat" not in document
    assert "Caused by" not in snapshot(suspected=(NEAR,)).postmortem.markdown()
    assert "No deployment caused it." in snapshot(cleared_by="U0SAM").postmortem.markdown()


def test_the_api_tells_confirmed_and_suspected_apart() -> None:
    told = incident_json(snapshot(confirmed=(SAID,)))["deployments"]
    assert [(each["commit"], each["confirmed"], each["means"], each["linked_by"]) for each in told] == [
        ("3f1c2abdd", True, "person", "U0SAM")
    ]
    (suspected,) = incident_json(snapshot(suspected=(NEAR,)))["deployments"]
    assert (suspected["confirmed"], suspected["means"]) == (False, None)
