"""The message that a paging system was not told of a page, or of its end. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.notify import Occasion, zone_of
from bot.catalog.paging import VENDOR_NAMES, PagingVendor
from bot.slack.announcements.announcement import AnnouncementText, message
from bot.slack.blockkit.mrkdwn import bold, code, markup
from bot.store.outbox import OutboxMessage
from bot.teams.paging.page import BurnPage, PageEvent


class UndeliveredPages:
    """Writes the messages; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(
        self, page: BurnPage, event: PageEvent, vendor: PagingVendor, error: str, now: datetime
    ) -> Sequence[OutboxMessage]:
        """Return the message for the service's channel; it mentions whom a `page` alert mentions."""
        service = self._current.catalog.service_or_stand_in(page.service)
        name = VENDOR_NAMES[vendor]
        if event is PageEvent.RESOLVE:
            return [message(service.channel, _not_resolved(service, page, name, error), service.name)]
        own = message(service.channel, _not_paged(service, page, name, error), service.name)
        notify = service.error_budget_policy.notify
        return [replace(own, mentions=notify.mentioned(Occasion.PAGE, service.teams, now, zone_of(service)))]


def _not_paged(service: Service, page: BurnPage, vendor: str, error: str) -> AnnouncementText:
    return AnnouncementText(
        "page_not_delivered",
        markup(
            ":rotating_light: {} — {} did not get the page, so it woke nobody.",
            bold(service.name),
            vendor,
        ),
        (markup("{}.", page.summary), markup("{}.", error)),
        markup("Next: look now; {} says what is wrong with the hand-over.", code("governor doctor")),
    )


def _not_resolved(service: Service, page: BurnPage, vendor: str, error: str) -> AnnouncementText:
    return AnnouncementText(
        "page_not_resolved",
        markup(
            ":warning: {} — the {} budget no longer burns too fast, but {} did not get that.",
            bold(service.name),
            page.slo,
            vendor,
        ),
        (markup("{}.", error),),
        markup("Next: close it in {} by hand.", vendor),
    )
