"""Reads which services a command is about: one by name, `all`, or those with a label."""

from collections.abc import Mapping, Sequence

from bot.catalog.selection import ServiceSelection
from bot.formatting import listed
from bot.freezes.status import StatusReader
from bot.slack.arguments import UsageError, name
from bot.slack.blockkit.mrkdwn import Markup, bold, code, markup
from bot.slack.typed.words import plain

_LABEL = {"label", "labels"}


def read_selection(words: Sequence[str], status_reader: StatusReader) -> tuple[ServiceSelection, list[str]]:
    """Return the services that the words begin with, and the words after them.

    Raises `UsageError` where no service has the labels, and `UnknownServiceError`.
    """
    if not words:
        raise UsageError(Markup("Name a service, `all`, or a label such as `label team=shop`."))
    first = plain(words[0])
    if first == "all":
        return ServiceSelection(), list(words[1:])
    if first not in _LABEL:
        return ServiceSelection((status_reader.find(name(words[0])).name,)), list(words[1:])
    labels: dict[str, str] = {}
    rest = list(words[1:])
    while rest and "=" in rest[0]:
        key, _, value = rest.pop(0).partition("=")
        labels[key] = value
    if not labels:
        raise UsageError(Markup("Name the label: `label team=shop`. Services have labels in their policies."))
    selection = ServiceSelection(labels=labels)
    services = status_reader.catalog.services
    if not selection.of(services):
        known = sorted({f"{key}={value}" for each in services.values() for key, value in each.labels.items()})
        hint = f"There are: {listed([code(each) for each in known[:10]])}" if known else "None has any label"
        raise UsageError(markup("No service has the label {}. {}.", label_text(labels), Markup(hint)))
    return selection, rest


def selection_text(selection: ServiceSelection) -> Markup:
    """Return which services are meant, as part of a sentence."""
    if selection.is_all:
        return Markup("all services")
    if selection.labels:
        return markup("the services with {}", label_text(selection.labels))
    return Markup(listed([bold(each) for each in selection.services], "and"))


def label_text(labels: Mapping[str, str]) -> Markup:
    """Return labels as they are typed."""
    return Markup(listed([code(f"{key}={value}") for key, value in labels.items()], "and"))
