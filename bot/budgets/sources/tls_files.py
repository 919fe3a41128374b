"""Certificates for TLS from files, which are read again when they change: they are renewed while we run."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from bot.budgets.source import SourceRefusedError

_Version = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A context, and which files it was made of: device, size and time of change."""

    context: ssl.SSLContext
    version: _Version


@dataclass(slots=True)
class TlsFiles:
    """The authorities that are trusted instead of the system's, and the client's certificate with its key.

    The key may lie in the certificate's file.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    _loaded: _Loaded | None = field(default=None, init=False, repr=False)

    def context(self) -> ssl.SSLContext | bool:
        """Return what aiohttp takes for `ssl`; raises `SourceRefusedError` for files that cannot be used."""
        files = {"caFile": self.ca_file, "certFile": self.cert_file, "keyFile": self.key_file}
        named = {key: file for key, file in files.items() if file is not None}
        if not named:
            return True
        version = tuple(_version(key, file) for key, file in named.items())
        if self._loaded is None or self._loaded.version != version:
            self._loaded = _Loaded(self._load(), version)
        return self._loaded.context

    def _load(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise SourceRefusedError(f"caFile {self.ca_file} has no certificate: {error}") from error
        if self.cert_file is not None:
            try:
                # Of a key that needs a password nobody could be asked.
                context.load_cert_chain(self.cert_file, self.key_file, password="")
            except (ssl.SSLError, OSError, ValueError) as error:
                files = " with ".join(filter(None, (self.cert_file, self.key_file)))
                raise SourceRefusedError(
                    f"{files} cannot be used as a certificate with its key: {error}"
                ) from error
        return context


def _version(key: str, file: str) -> tuple[int, int, int]:
    try:
        found = Path(file).stat()
    except OSError as error:
        raise SourceRefusedError(f"{key} {file} cannot be read: {error.strerror}") from error
    return found.st_ino, found.st_size, found.st_mtime_ns
