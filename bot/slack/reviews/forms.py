"""The form for the reliability work of a review, and how it is read. Pure."""

from collections.abc import Mapping

from bot.incidents.action import Action
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.modals import ModalForm, SubmittedModal, day_input, person_input, text_input
from bot.slack.blockkit.mrkdwn import bold, markup
from bot.store.outbox import Block
from bot.teams.reviews.agreeing import PlannedWork, ReviewState
from bot.teams.reviews.review import ReviewedWork
from bot.texts import clean_line

WORK_FORM = "review.work"
"""The `callback_id` of the form."""
MOST_WORK = 500
MOST_ITEMS = 15


def work_form(state: ReviewState) -> ModalForm:
    """Return the form: each piece of work with its owner and its date, and room for one more."""
    review = state.review
    told = markup(
        "What of this is done for {}? Work with an owner and a date becomes an action; leave the others as "
        "they are.",
        bold(review.service),
    )
    blocks: list[Block] = [section(told)]
    for position, work in enumerate(review.work[:MOST_ITEMS]):
        blocks += _inputs(position, work, state.actions)
    if len(review.work) < MOST_ITEMS:
        blocks += _inputs(len(review.work), ReviewedWork(""), {})
    about = f"{review.id} {min(len(review.work), MOST_ITEMS)}"
    return ModalForm(WORK_FORM, "Reliability work", "Save", tuple(blocks), about)


def review_of(submitted: SubmittedModal) -> int:
    """Return the number of the review that a form is about."""
    return int(submitted.about.split()[0])


def work_faults(submitted: SubmittedModal) -> dict[str, str]:
    """Return what is wrong with the input, by its name."""
    faults: dict[str, str] = {}
    known = int(submitted.about.split()[1])
    for position in range(known + 1):
        owner, due = submitted.text(f"owner_{position}"), submitted.text(f"due_{position}")
        is_new = position == known and bool(submitted.text(f"text_{position}"))
        if (due or is_new) and not owner:
            faults[f"owner_{position}"] = "Choose who does it."
        if (owner or is_new) and not due:
            faults[f"due_{position}"] = "Choose the day by which it is done."
        is_untold = f"text_{position}" in submitted.values and not submitted.text(f"text_{position}")
        if (owner or due) and is_untold:
            faults[f"text_{position}"] = "Say what is done."
    return faults


def read_work(submitted: SubmittedModal) -> list[PlannedWork]:
    """Return the work that has an owner and a date; the input is valid."""
    planned = []
    for position in range(int(submitted.about.split()[1]) + 1):
        owner, due = submitted.text(f"owner_{position}"), submitted.day(f"due_{position}")
        if owner and due is not None:
            text = clean_line(submitted.text(f"text_{position}"), MOST_WORK)
            planned.append(PlannedWork(position, text, owner, due))
    return planned


def _inputs(position: int, work: ReviewedWork, actions: Mapping[int, Action]) -> list[Block]:
    action = actions.get(work.action) if work.action is not None else None
    label = "Work" if work.text else "Other work"
    if action is not None:
        head = [section(markup("{}: {}", bold(f"Action {action.id}"), action.text))]
    else:
        text = text_input(f"text_{position}", label, work.text, most=MOST_WORK, long=True, optional=True)
        head = [text, *([context(work.why)] if work.why else [])]
    owner = person_input(f"owner_{position}", "Who does it", action.owner if action else None)
    return [*head, owner, day_input(f"due_{position}", "By when", action.due if action else None)]
