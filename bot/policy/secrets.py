"""Finds the secrets in policy documents, so that logs and reports can mask them."""

from collections.abc import Iterator, Mapping

from bot.catalog.catalog import Catalog

_SECRET_WORDS = ("token", "key", "secret", "password")


def secrets_of(catalog: Catalog) -> tuple[str, ...]:
    """Return every secret of the sources, the flag backend and the paging systems."""
    workspace = catalog.workspace
    secrets: list[str] = []
    for service in catalog.services.values():
        for destination in service.paging:
            secrets += [destination.key or "", *destination.headers.values()]
            secrets += destination.basic_auth[1:] if destination.basic_auth else ()
    for source in workspace.sources.values():
        secrets += [source.bearer_token or "", *source.headers.values()]
        secrets += source.basic_auth[1:] if source.basic_auth else ()
    secrets += _secret_settings(workspace.flags.backend_settings)
    return tuple(sorted({secret for secret in secrets if secret}))


def _secret_settings(settings: Mapping[str, object]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _secret_settings(value)
        elif any(word in key.casefold() for word in _SECRET_WORDS):
            yield str(value)
