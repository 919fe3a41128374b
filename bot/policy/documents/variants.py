"""The model of `variants` in a Service document: how its series tell who met a flag."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from bot.policy.documents.fields import FlagKey, Label
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.faults import IT, InvalidValueError

SWITCHES = ("control", "treatment")
"""The keys whose values are text even where YAML would read them as true or false: `off`, `on`."""

_MOST_CHARACTERS = 200


def _label_value(text: str) -> str:
    if not text or len(text) > _MOST_CHARACTERS or not text.isprintable():
        raise InvalidValueError(
            f"{IT} is not a label's value", f"1 to {_MOST_CHARACTERS} printable characters"
        )
    return text


LabelValue = Annotated[
    str,
    AfterValidator(_label_value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "boolean"}], "examples": ["off", "on"]}),
]


class VariantsSpec(Model):
    """The label that tells requests with a flag on from those with it off."""

    label: Label
    """Name of the label on the series of the service's SLOs, such as `variant`."""
    control: LabelValue
    """The label's value on requests with the flag off; `off` needs no quotes here."""
    treatment: LabelValue | None = None
    """The label's value on requests with the flag on; any other value than `control` if left out."""
    flags: tuple[FlagKey, ...] = ()
    """The flags that the label tells about; all of the service's if left out."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that the two values differ."""
        if self.treatment == self.control:
            yield BrokenRule(("treatment",), "`treatment` and `control` are the same value", "two values")
