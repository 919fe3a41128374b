"""Encryption at rest: the key is only in the environment, so that the database alone reveals no secret.

EncryptionError
├── BadKeyError         the environment's value is not a key
└── UndecryptableError  none of the keys decrypts the text

https://cryptography.io/en/stable/fernet/
"""

from datetime import datetime, timedelta

# cryptography is loaded where a key is used: a bot with one token starts without it.


class EncryptionError(Exception):
    """A secret cannot be encrypted or decrypted. The message never contains a key or a secret."""


class BadKeyError(EncryptionError):
    """The environment's value is not a key."""


class UndecryptableError(EncryptionError):
    """The text was encrypted with another key, is damaged or too old."""


class TokenCipher:
    """Encrypts text with the first of its keys, and decrypts with any of them.

    `keys` are Fernet keys separated by commas, the newest first. Raises `BadKeyError`.
    """

    def __init__(self, keys: str) -> None:
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet  # noqa: PLC0415

        self._invalid_token = InvalidToken
        try:
            self._keys = MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])
        except ValueError as error:
            raise BadKeyError("not a list of Fernet keys; `governor key` prints a new one") from error

    def encrypt(self, text: str) -> str:
        """Return the text encrypted with the newest key."""
        return self._keys.encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Return the decrypted text; raises `UndecryptableError`."""
        try:
            return self._keys.decrypt(encrypted.encode()).decode()
        except self._invalid_token as error:
            raise UndecryptableError(
                "encrypted with a key that GOVERNOR_ENCRYPTION_KEY no longer has"
            ) from error

    def reencrypt(self, encrypted: str) -> str:
        """Return the same text encrypted with the newest key; raises `UndecryptableError`."""
        try:
            return self._keys.rotate(encrypted.encode()).decode()
        except self._invalid_token as error:
            raise UndecryptableError(
                "encrypted with a key that GOVERNOR_ENCRYPTION_KEY no longer has"
            ) from error

    def encrypt_with_time(self, text: str, now: datetime) -> str:
        """Return the text encrypted together with the time, for `decrypt_recent`."""
        return self._keys.encrypt_at_time(text.encode(), int(now.timestamp())).decode()

    def decrypt_recent(self, encrypted: str, now: datetime, life: timedelta) -> str:
        """Return a text encrypted with the time less than `life` ago; raises `UndecryptableError`."""
        try:
            decrypted = self._keys.decrypt_at_time(
                encrypted.encode(errors="replace"), int(life.total_seconds()), int(now.timestamp())
            )
        except self._invalid_token as error:
            raise UndecryptableError("not signed with these keys, or too long ago") from error
        return decrypted.decode()


def new_key() -> str:
    """Return a new key for GOVERNOR_ENCRYPTION_KEY."""
    from cryptography.fernet import Fernet  # noqa: PLC0415

    return Fernet.generate_key().decode()
