"""Deployments on an incident's pinned card, as the strict stand-in for Slack takes it."""

from dataclasses import replace

from bot.catalog.current import CurrentCatalog
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.recorder import DeploymentRecorder
from bot.deployments.undo_detector import UndoDetector
from bot.freezes.exemptions.proven_kinds import ProvenKinds
from bot.sandbox.fake_slack.model import Message
from bot.slack.announcements.deployments import DeploymentAnnouncer
from bot.slack.announcements.proven_kinds import proven_kind_messages
from bot.slack.incidents.messages import CARD
from tests.support.clock import HOUR, MINUTE
from tests.support.incidents import IncidentsSetup, channel_id_of, shop

TELL = DeploymentAnnouncer(CurrentCatalog(shop()))
URL = "https://ci.example/42?a=1&b=2"


def deployment(incidents_setup: IncidentsSetup, **changes: object) -> Deployment:
    ended = incidents_setup.clock.now() - 5 * MINUTE
    values: dict[str, object] = {
        "id": "github 1",
        "environment": "production",
        "commit": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "by": "octocat at GitHub",
        "state": DeploymentState.SUCCEEDED,
        "started_at": ended - MINUTE,
        "finished_at": ended,
        "ref": "main",
        "repository": "acme/checkout",
        "url": URL,
    }
    return Deployment(**(values | changes))  # type: ignore[arg-type]


def recorder_of(incidents_setup: IncidentsSetup) -> DeploymentRecorder:
    kinds = ProvenKinds(incidents_setup.database, proven_kind_messages)
    undo_detector = UndoDetector(incidents_setup.incidents.lifecycle.causes)
    current = CurrentCatalog(incidents_setup.policies)
    planner = ChangesPlanner(incidents_setup.database, current, can_ask=False)
    return DeploymentRecorder(incidents_setup.database, current, TELL, kinds, undo_detector, changes=planner)


async def test_the_pinned_card_shows_deployments_of_its_services_once_each_with_a_link(
    incidents_setup: IncidentsSetup,
) -> None:
    recorder = recorder_of(incidents_setup)
    both = list(incidents_setup.policies.services.values())
    channel = channel_id_of(await incidents_setup.opened(services=("checkout", "search")))

    def card_with(words: str) -> Message | None:
        (card,) = incidents_setup.messages(channel, CARD)
        return card if words in str(card.blocks) else None

    told = deployment(incidents_setup)
    for _ in range(2):
        await recorder.record(told, both, "github", incidents_setup.clock.now())
    card = await incidents_setup.slack.until(lambda: card_with("6113728 to production"), within_s=20)
    assert card is not None
    (changes,) = [one for one in card.blocks if "Changed lately" in str(one)]
    line = changes["text"]["text"].splitlines()
    assert len(line) == 2
    assert (
        "6113728 to production: deployment succeeded — checkout, search, main of acme/checkout — "
        "octocat at GitHub, <https://ci.example/42?a=1&amp;b=2|details>"
    ) in line[1]

    failed = replace(told, id="github 2", state=DeploymentState.FAILED, url="", finished_at=told.started_at)
    await recorder.record(failed, both[:1], "github", incidents_setup.clock.now())
    card = await incidents_setup.slack.until(lambda: card_with("deployment failed"), within_s=20)
    assert card is not None
    (changes,) = [one for one in card.blocks if "Changed lately" in str(one)]
    _, first, second = changes["text"]["text"].splitlines()
    assert "deployment failed — checkout, main of acme/checkout — octocat at GitHub" in first
    assert "details" not in first
    assert "deployment succeeded" in second


async def test_the_card_names_what_was_deployed_last_however_long_before_it_began(
    incidents_setup: IncidentsSetup,
) -> None:
    recorder, now = recorder_of(incidents_setup), incidents_setup.clock.now()
    checkout = [incidents_setup.policies.services["checkout"]]
    for id_, commit, ago in (("1", "1.4.1", 5), ("2", "1.4.2", 3)):
        ended = now - ago * HOUR
        told = deployment(
            incidents_setup, id=id_, commit=commit, started_at=ended, finished_at=ended, is_production=True
        )
        await recorder.record(told, checkout, "github", now)
    staged = deployment(incidents_setup, id="3", commit="1.4.3", environment="staging")
    await recorder.record(staged, checkout, "github", now)
    view = await incidents_setup.opened(services=("checkout",))
    (card,) = incidents_setup.messages(channel_id_of(view), CARD)
    (changes,) = [one for one in card.blocks if "Changed lately" in str(one)]
    _, last, staging = changes["text"]["text"].splitlines()
    assert last.startswith("Last deployment before it: `1.4.2`, ")
    assert "earlier, by octocat at GitHub" in last
    assert "1.4.3 to staging" in staging


async def test_a_deployment_of_other_services_is_none_of_the_cards_business(
    incidents_setup: IncidentsSetup,
) -> None:
    recorder = recorder_of(incidents_setup)
    await recorder.record(
        deployment(incidents_setup),
        [incidents_setup.policies.services["search"]],
        "github",
        incidents_setup.clock.now(),
    )
    view = await incidents_setup.opened()
    assert "production" not in str(incidents_setup.messages(channel_id_of(view), CARD)[0].blocks)
