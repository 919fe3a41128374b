"""What people of one Slack workspace do with reviews: open the form, save the work, agree for a side."""

from bot.catalog.catalog import EVERYONE, Service
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.capabilities import Capabilities
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.permissions import Allowed, People, refusal
from bot.slack.reviews.forms import read_work, review_of, work_form
from bot.slack.reviews.messages import AGREE, FILL_IN, review_reply
from bot.slack.typed.numbers import read_number
from bot.store.addresses import local
from bot.teams.reviews.agreeing import ReviewClosedError, ReviewState
from bot.teams.reviews.review import TeamSide, leads_of

_GONE = Markup("There is no such review for your services any more.")
_NO_FORM = Markup("Slack did not open the form. Press the button again.")


class FreezeReviewing:
    """Opens forms, saves work and agrees. A reply that `replaces` shows the review as it is now."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._reviews = capabilities.reviews
        self._status_reader = capabilities.status_reader
        self._clock = capabilities.clock
        self._people = people

    async def press(self, press: Interaction) -> Reply:
        """Open the form, or agree for a side."""
        found = await self._find(read_number(press.text) or 0)
        if found is None:
            return say(_GONE)
        state, service = found
        if not state.review.is_open:
            return review_reply(state)
        if press.query.command == FILL_IN:
            denied = await self._denied(press.user, _either(service), "fill in the work of its review")
            if denied is not None:
                return denied
            return Reply(_NO_FORM, say(_NO_FORM).body, form=work_form(state))
        side = next(each for each in TeamSide if AGREE[each] == press.query.command)
        denied = await self._denied(press.user, _local(leads_of(service, side)), f"agree for {side}")
        return denied or await self._agree(service, state, side, press.user)

    async def submit(self, submitted: SubmittedModal) -> Reply:
        """Save the work of a form whose input is valid."""
        found = await self._find(review_of(submitted))
        if found is None:
            return say(_GONE)
        state, service = found
        denied = await self._denied(submitted.user, _either(service), "fill in the work of its review")
        if denied is not None:
            return denied
        try:
            await self._reviews.plan(
                service, state.review.id, read_work(submitted), by=submitted.user, now=self._clock.now()
            )
        except ReviewClosedError as error:
            return say(Markup(error.why.value))
        return await self._shown(state.review.id)

    async def _agree(self, service: Service, state: ReviewState, side: TeamSide, user: str) -> Reply:
        try:
            await self._reviews.agree(service, state.review.id, side, by=user, now=self._clock.now())
        except ReviewClosedError as error:
            return say(Markup(error.why.value))
        return await self._shown(state.review.id)

    async def _shown(self, id_: int) -> Reply:
        state = await self._reviews.state(id_)
        return say(_GONE) if state is None else review_reply(state)

    async def _find(self, id_: int) -> tuple[ReviewState, Service] | None:
        state = await self._reviews.state(id_)
        if state is None:
            return None
        service = self._status_reader.catalog.services.get(state.review.service)
        return None if service is None else (state, service)

    async def _denied(self, user: str, entries: tuple[str, ...], what: str) -> Reply | None:
        permission = await self._people.check_permission(user, entries or (EVERYONE,))
        return None if isinstance(permission, Allowed) else say(refusal(permission, what))


def _either(service: Service) -> tuple[str, ...]:
    """Return who is of either side: the leads and the teams."""
    leads = [each for side in TeamSide for each in leads_of(service, side)]
    return _local(tuple(dict.fromkeys((*leads, *service.teams.entries))))


def _local(entries: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(local, entries))
