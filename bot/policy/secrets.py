"""Finds the secrets in policy documents, so that logs and reports can mask them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from urllib.parse import unquote, urlsplit

from bot.catalog.catalog import Catalog
from bot.catalog.sources import PluginSettings, SourceSettings, SqlSettings

_SECRET_WORDS = ("token", "key", "secret", "password")


def secrets_of(catalog: Catalog) -> tuple[str, ...]:
    """Return every secret of sources, the flag backend, paging systems, gates and webhooks."""
    workspace = catalog.workspace
    secrets: list[str] = []
    for service in catalog.services.values():
        for destination in service.paging:
            secrets += [destination.key or "", *destination.headers.values()]
            secrets += destination.basic_auth[1:] if destination.basic_auth else ()
    for source in workspace.sources.values():
        secrets += _secrets_of_source(source)
    secrets += _secret_settings(workspace.flags.backend_settings)
    secrets += _hidden_texts(workspace.gates)
    secrets += _hidden_texts(workspace.webhooks)
    return tuple(sorted({secret for secret in secrets if secret}))


def _secrets_of_source(source: SourceSettings) -> Iterator[str]:
    if isinstance(source, PluginSettings):
        yield from _secret_settings(source.settings)
        return
    if isinstance(source, SqlSettings):
        yield source.url
        yield unquote(urlsplit(source.url).password or "")
        return
    for field in fields(source):
        value = getattr(source, field.name)
        # A user's name is no secret.
        yield from _hidden_texts(
            value[1:] if field.name == "basic_auth" and value else value, is_hidden=not field.repr
        )


def _secret_settings(settings: Mapping[str, object]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _secret_settings(value)
        elif any(word in key.casefold() for word in _SECRET_WORDS):
            yield str(value)


def _hidden_texts(value: object, *, is_hidden: bool = False) -> Iterator[str]:
    """Return the texts in the fields of dataclasses that their `repr` leaves out, at any depth."""
    if isinstance(value, str):
        if is_hidden:
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _hidden_texts(each, is_hidden=is_hidden)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _hidden_texts(each, is_hidden=is_hidden)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _hidden_texts(getattr(value, field.name), is_hidden=is_hidden or not field.repr)
