"""What every kind of policy document has: the version of its format and its name."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from bot.policy.documents.fields import Slug
from bot.policy.documents.model import Model
from bot.policy.faults import IT, InvalidValueError

LABEL_TEXT = r"[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?"
_FORM = "1 to 63 letters, digits and `_`, `.`, `/`, `-`, the last four not at the ends"


def _label(text: str) -> str:
    if not re.fullmatch(LABEL_TEXT, text):
        raise InvalidValueError(f"{IT} is not a label", _FORM)
    return text


LabelName = Annotated[
    str, AfterValidator(_label), WithJsonSchema({"type": "string", "pattern": f"^(?:{LABEL_TEXT})$"})
]
LabelValue = LabelName


class Metadata(Model):
    """What a document is called."""

    name: Slug
    """Name of the document, unique among those of its kind: 1 to 63 of a-z, 0-9 and `-`."""
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict)
    """Labels of a service, such as `{team: shop}`, by which freeze windows choose it."""


class Envelope(Model):
    """What every document has."""

    api_version: Literal["governor/v1"]
    """Version of the format."""
    metadata: Metadata
    """What the document is called."""
