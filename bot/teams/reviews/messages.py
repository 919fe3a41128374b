"""The port to whoever writes the messages of reviews. Its implementation is pure: it runs in transactions."""

from collections.abc import Sequence
from typing import Protocol

from bot.catalog.catalog import Service
from bot.incidents.action import Action
from bot.store.outbox import OutboxMessage
from bot.teams.reviews.review import Agreement, FreezeReview, TeamSide


class ReviewMessageWriter(Protocol):
    """Writes the messages of reviews; those of one review make one thread of the service's channel."""

    def thread_of(self, review: FreezeReview) -> str:
        """Return the subject of the thread."""
        ...

    def asked(self, service: Service, review: FreezeReview) -> Sequence[OutboxMessage]:
        """Return what asks both sides."""
        ...

    def planned(
        self, service: Service, review: FreezeReview, by: str, *, agreed_before: bool
    ) -> Sequence[OutboxMessage]:
        """Return that somebody filled in the work."""
        ...

    def agreed(
        self,
        service: Service,
        review: FreezeReview,
        side: TeamSide,
        done: Agreement,
        actions: Sequence[Action],
    ) -> Sequence[OutboxMessage]:
        """Return that a side agreed."""
        ...

    def escalated(
        self, service: Service, review: FreezeReview, told: Sequence[str]
    ) -> Sequence[OutboxMessage]:
        """Return what tells others that the sides have not agreed."""
        ...

    def ended(self, service: Service, review: FreezeReview) -> Sequence[OutboxMessage]:
        """Return that the freeze is over, and the review with it."""
        ...
