"""The secrets that policy documents hold, so that logs and reports can leave them out."""

from collections.abc import Iterator, Mapping

from bot.catalog.catalog import Workspace

_SECRET_WORDS = ("token", "key", "secret", "password")


def secrets_of(workspace: Workspace) -> tuple[str, ...]:
    """Return every value that nobody may read in a log: of sources and of the flag backend."""
    found: list[str] = []
    for source in workspace.sources.values():
        found += [source.bearer_token or "", *source.headers.values()]
        found += source.basic_auth[1:] if source.basic_auth else ()
    found += _named_for_one(workspace.flags.backend_settings)
    return tuple(sorted({secret for secret in found if secret}))


def _named_for_one(settings: Mapping[str, object]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _named_for_one(value)
        elif any(word in key.casefold() for word in _SECRET_WORDS):
            yield str(value)
