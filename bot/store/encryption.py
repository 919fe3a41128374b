"""Secrets at rest: sealed with a key that only the environment has, so that the database alone opens nothing.

SealError
├── BadKey      what the environment says is no key
└── Unreadable  none of the keys opens what was sealed

https://cryptography.io/en/stable/fernet/
"""

from datetime import datetime, timedelta

# cryptography is loaded where a key is used: a bot with one token starts without it.


class EncryptionError(Exception):
    """A secret cannot be sealed or opened. The message never repeats a key or a secret."""


class BadKeyError(EncryptionError):
    """What the environment says is no key."""


class UndecryptableError(EncryptionError):
    """It was sealed with another key, is damaged or too old."""


class TokenCipher:
    """Seals text with the first of some keys and opens what any of them sealed.

    `keys` are Fernet keys with commas between, the newest first. Raises `BadKeyError`.
    """

    def __init__(self, keys: str) -> None:
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet  # noqa: PLC0415

        self._no_key = InvalidToken
        try:
            self._keys = MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])
        except ValueError as error:
            raise BadKeyError("not made of Fernet keys; `governor key` prints a new one") from error

    def seal(self, text: str) -> str:
        """Return the text sealed with the newest key."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return what was sealed; raises `UndecryptableError`."""
        try:
            return self._keys.decrypt(sealed.encode()).decode()
        except self._no_key as error:
            raise UndecryptableError(
                "sealed with a key that GOVERNOR_ENCRYPTION_KEY no longer has"
            ) from error

    def renew(self, sealed: str) -> str:
        """Return the same sealed with the newest key; raises `UndecryptableError`."""
        try:
            return self._keys.rotate(sealed.encode()).decode()
        except self._no_key as error:
            raise UndecryptableError(
                "sealed with a key that GOVERNOR_ENCRYPTION_KEY no longer has"
            ) from error

    def stamp(self, text: str, now: datetime) -> str:
        """Return the text sealed together with the time, for `open_stamped`."""
        return self._keys.encrypt_at_time(text.encode(), int(now.timestamp())).decode()

    def open_stamped(self, sealed: str, now: datetime, life: timedelta) -> str:
        """Return what was stamped less than `life` ago; raises `UndecryptableError`."""
        try:
            opened = self._keys.decrypt_at_time(
                sealed.encode(errors="replace"), int(life.total_seconds()), int(now.timestamp())
            )
        except self._no_key as error:
            raise UndecryptableError("not stamped by these keys, or too long ago") from error
        return opened.decode()


def new_key() -> str:
    """Return a new key for GOVERNOR_ENCRYPTION_KEY."""
    from cryptography.fernet import Fernet  # noqa: PLC0415

    return Fernet.generate_key().decode()
