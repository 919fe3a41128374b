"""The messages of a review: what both sides are asked, what they have agreed on, and how it ended. Pure."""

from collections.abc import Mapping, Sequence

from bot.catalog.catalog import Service
from bot.formatting import counted, duration_text
from bot.incidents.action import Action
from bot.slack.blockkit.blocks import actions as buttons_row
from bot.slack.blockkit.blocks import button, fit, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, join, markup, mention, naming, when
from bot.slack.interactions import Reply
from bot.slack.permissions import is_channel
from bot.store.addresses import local
from bot.store.outbox import Block, OutboxMessage
from bot.teams.reviews.agreeing import ReviewState
from bot.teams.reviews.review import Agreement, FreezeReview, ReviewedWork, TeamSide, leads_of

FILL_IN = "review.fill"
"""The button that opens the form for the work."""
AGREE = {TeamSide.DEVELOPMENT: "review.agree.development", TeamSide.RELIABILITY: "review.agree.reliability"}
"""The buttons with which a side agrees."""


class ReviewMessages:
    """Writes the messages of reviews."""

    def thread_of(self, review: FreezeReview) -> str:
        """Return the subject of the thread."""
        return f"review {review.id}"

    def asked(self, service: Service, review: FreezeReview) -> Sequence[OutboxMessage]:
        """Return what asks both sides."""
        reply = review_reply(ReviewState(review, {}))
        mentions = tuple(dict.fromkeys(each for side in TeamSide for each in leads_of(service, side)))
        return [self._message(service, review, "review_asked", reply, mentions=mentions, is_broadcast=True)]

    def planned(
        self, service: Service, review: FreezeReview, by: str, *, agreed_before: bool
    ) -> Sequence[OutboxMessage]:
        """Return that somebody filled in the work."""
        again = " It has changed since a side agreed, so both sides agree anew." if agreed_before else ""
        text = markup(
            "{} filled in the reliability work.{} Next: each side agrees with its button above.",
            mention(by), again,
        )  # fmt: skip
        return [self._message(service, review, "review_planned", _paragraph(text))]

    def agreed(
        self,
        service: Service,
        review: FreezeReview,
        side: TeamSide,
        done: Agreement,
        actions: Sequence[Action],
    ) -> Sequence[OutboxMessage]:
        """Return that a side agreed."""
        if not review.is_agreed:
            (other,) = [each for each in TeamSide if each not in review.agreed]
            text = markup(
                "{} agreed for {}. {} is still to agree.", mention(done.by), side, other.capitalize()
            )
            return [self._message(service, review, "review_agreed", _paragraph(text))]
        lines = [action_text(action) for action in actions]
        text = markup(
            ":white_check_mark: Both teams agreed on the reliability work of {}:", bold(service.name)
        )
        reply = _paragraph(join("\n", [text, *(markup("• {}", line) for line in lines)]))
        return [self._message(service, review, "review_agreed", reply, is_broadcast=True)]

    def escalated(
        self, service: Service, review: FreezeReview, told: Sequence[str]
    ) -> Sequence[OutboxMessage]:
        """Return what tells others that the sides have not agreed."""
        lacking = [each.value for each in TeamSide if each not in review.agreed]
        text = markup(
            ":hourglass: {} has been frozen since {}, and {} not agreed on the reliability work yet. "
            "Next: bring both leads together in {}.",
            bold(service.name), when(review.began_at),
            "both teams have" if len(lacking) == len(TeamSide) else f"{lacking[0]} has",
            Markup(local(service.channel)) if local(service.channel).startswith("#")
            else markup("{}", Markup(f"<#{local(service.channel)}>")),
        )  # fmt: skip
        reply = _paragraph(text)
        channels = [each for each in told if is_channel(local(each))]
        people = tuple(each for each in told if each not in channels)
        elsewhere = [
            OutboxMessage(channel, "review_escalated", reply.fallback, reply.blocks) for channel in channels
        ]
        own = self._message(
            service, review, "review_escalated", reply, mentions=people, is_broadcast=bool(people)
        )
        return [own, *elsewhere]

    def ended(self, service: Service, review: FreezeReview) -> Sequence[OutboxMessage]:
        """Return that the freeze is over, and the review with it."""
        after = f" after {duration_text(review.ended_at - review.began_at)}" if review.ended_at else ""
        outcome = (
            "Both teams had agreed; the actions stay."
            if review.is_agreed
            else "The review is over without an agreement; what was filled in stays as actions."
            if review.action_ids
            else "The review is over without an agreement."
        )
        text = markup("{} may ship again{}. {}", bold(service.name), after, outcome)
        return [self._message(service, review, "review_closed", _paragraph(text))]

    def _message(
        self,
        service: Service,
        review: FreezeReview,
        event_type: str,
        reply: Reply,
        *,
        mentions: Sequence[str] = (),
        is_broadcast: bool = False,
    ) -> OutboxMessage:
        return OutboxMessage(
            service.channel,
            event_type,
            reply.fallback,
            reply.blocks,
            mentions=tuple(mentions),
            thread=self.thread_of(review),
            is_broadcast=is_broadcast,
        )


def review_reply(state: ReviewState) -> Reply:
    """Return a review: what both sides are asked, the work as it is filled in, and who has agreed."""
    review = state.review
    headline = _headline(review)
    work = join("\n", [bold("The work"), *(_work_line(each, state.actions) for each in review.work)])
    agreed = join("\n", [bold("Agreed"), *(_agreed_line(review, side) for side in TeamSide)])
    text = join("\n", [headline, work, agreed])
    row = buttons_row(*_buttons(review)) if review.is_open else []
    return Reply(text, tuple(fit([section(each) for each in (headline, work, agreed)], row)), replaces=True)


def _headline(review: FreezeReview) -> Markup:
    if not review.is_open:
        return markup(
            "{} was frozen from {} to {}; this review is over.",
            bold(review.service), when(review.began_at), when(review.ended_at or review.began_at),
        )  # fmt: skip
    return markup(
        ":memo: {} has been frozen since {}. Agree on the reliability work, both teams together: what "
        "is done, by whom, by when.",
        bold(review.service), when(review.began_at),
    )  # fmt: skip


def _work_line(work: ReviewedWork, actions: Mapping[int, Action]) -> Markup:
    action = actions.get(work.action) if work.action is not None else None
    if action is not None:
        return markup("• {}", action_text(action))
    why = markup(" ({})", work.why) if work.why else NOTHING
    return markup("• {}{}", work.text, why)


def action_text(action: Action) -> Markup:
    """Return an action in a line, with who does it and by when."""
    done = ":white_check_mark: " if action.done_at else ""
    owner = markup(" — {}", mention(action.owner)) if action.owner else NOTHING
    due = f", due {action.due.isoformat()}" if action.due else ""
    return markup("{}Action {}: {}{}{}", Markup(done), action.id, naming(action.text), owner, due)


def _agreed_line(review: FreezeReview, side: TeamSide) -> Markup:
    done = review.agreed.get(side)
    if done is None:
        return markup("• {}: not yet", side.capitalize())
    return markup("• {}: {}, {}", side.capitalize(), mention(done.by), when(done.at))


def _buttons(review: FreezeReview) -> list[Block]:
    key = str(review.id)
    agree = [
        button(f"Agreed for {side}", AGREE[side], key, style="primary")
        for side in TeamSide
        if side not in review.agreed
    ]
    return [button("Fill in the work", FILL_IN, key), *agree]


def _paragraph(text: Markup) -> Reply:
    return Reply(text, (section(text),))


def review_line(state: ReviewState) -> Markup:
    """Return in a line how the review of a frozen service stands."""
    review, count = state.review, len(state.actions)
    if review.is_agreed:
        return markup("Review of the freeze: both teams agreed on {}.", counted(count, "action"))
    lacking = " and ".join(side.value for side in TeamSide if side not in review.agreed)
    return markup(
        "Review of the freeze: asked {}; {} still to agree, {} filled in.",
        when(review.asked_at or review.began_at), lacking, counted(count, "action"),
    )  # fmt: skip
