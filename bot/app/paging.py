"""The hand-over of `page` alerts, wired: one handler a vendor."""

from collections.abc import Sequence

from bot.app.resources import Resources
from bot.catalog.paging import PagingVendor
from bot.slack.notices.undelivered_pages import UndeliveredPages
from bot.slack.typed.link_addresses import LinkAddresses
from bot.tasks.handler import TaskHandler
from bot.teams.paging.client import PagingClient
from bot.teams.paging.handler import PagingHandler


def paging_handlers(resources: Resources, addresses: LinkAddresses) -> Sequence[TaskHandler]:
    """Return the handlers of the tasks that tell paging systems."""
    client, announce = PagingClient(resources.session), UndeliveredPages(resources.current)
    return [
        PagingHandler(vendor, client, resources.current, announce, addresses.service)
        for vendor in PagingVendor
    ]
