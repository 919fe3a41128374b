"""What opens over the home tab: help, and the budget of a service that the tab does not show."""

from dataclasses import replace

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
        """Return the dialog that a button or the menu of services opens.

        It is a message should Slack not open one.
        """
        if press.query.command == HELP:
            return replace(help_on_all(), form=help_dialog())
        try:
            status = await self._status_reader.service(press.text)
        except UnknownServiceError as error:
            return say(markup("There is no service {} any more.", bold(error.name)))
        return replace(_service(status), form=service_dialog(status))


def help_dialog() -> ModalForm:
    """Return the dialog that lists the commands."""
    return ModalForm(HELP, "What to type", "", tuple(help_on_all().blocks))


def service_dialog(status: ServiceStatus) -> ModalForm:
    """Return the dialog that shows what is left of a service's budgets."""
    return ModalForm(OTHER_SERVICE, status.service.name, "", tuple(_service(status).blocks))


def _service(status: ServiceStatus) -> Reply:
    shown = say(service_text(status))
    # The line above is the one of the SLO with the least left.
    slos = [context(text) for text in slo_texts(status)] if len(status.budgets) > 1 else []
    answers = context("Answers come as direct messages.")
    return Reply(shown.text, (*shown.body, *slos, *service_buttons(status), answers))
