"""What opens over the home tab: help, and the budget of a service that the tab does not show."""

from bot.freezes.status import ServiceStatus, StatusReader, UnknownServiceError
from bot.slack.blockkit.blocks import context
from bot.slack.blockkit.modals import ModalForm
from bot.slack.blockkit.mrkdwn import bold, markup
from bot.slack.command_reference import help_on_all
from bot.slack.home.view import HELP, OTHER_SERVICE, service_buttons, service_text, slo_texts
from bot.slack.interactions import Interaction, Reply, say

DIALOGS = frozenset({HELP, OTHER_SERVICE})
"""The action ids that open a dialog."""


class HomeDialogs:
    """The dialogs over the home tab; nothing in one changes anything."""

    def __init__(self, status_reader: StatusReader) -> None:
        self._status_reader = status_reader

    async def open(self, press: Interaction) -> Reply:
        """Return the dialog that a button or the menu of services opens."""
        if press.query.command == HELP:
            return _dialog("What to type", help_on_all())
        try:
            status = await self._status_reader.service(press.text)
        except UnknownServiceError as error:
            return say(markup("There is no service {} any more.", bold(error.name)))
        return _dialog(status.service.name, _service(status))


def _service(status: ServiceStatus) -> Reply:
    shown = say(service_text(status))
    # The line above is the one of the SLO with the least left.
    slos = [context(text) for text in slo_texts(status)] if len(status.budgets) > 1 else []
    return Reply(
        shown.text,
        (*shown.body, *slos, *service_buttons(status), context("Answers come as direct messages.")),
    )


def _dialog(title: str, reply: Reply) -> Reply:
    """Return a reply that is shown in a dialog, and as a message should Slack not open one."""
    form = ModalForm("home.dialog", title, "", tuple(reply.blocks))
    return Reply(reply.text, reply.body, form=form)
