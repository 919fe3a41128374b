"""What every kind of policy document has: the version of its format and its name."""

from typing import Literal

from bot.policy.documents.fields import Slug
from bot.policy.documents.model import Model


class Metadata(Model):
    """What a document is called."""

    name: Slug
    """Name of the document, unique among those of its kind: 1 to 63 of a-z, 0-9 and `-`."""


class Envelope(Model):
    """What every document has."""

    api_version: Literal["governor/v1"]
    """Version of the format."""
    metadata: Metadata
    """What the document is called."""
