"""The model of `forEach`, which makes one Service document a template of many services."""

from pydantic import Field

from bot.policy.documents.fields import KeepTime, Label, Limit, Selector, Slug
from bot.policy.documents.model import Model
from bot.policy.documents.quantities import parse_duration

DEFAULT_SOURCE = "prometheus"


class ForEach(Model):
    """Makes one service for each value of a label; `%{LABEL}` in the document stands for the value."""

    label: Label
    """Name of the label. `%{LABEL}` in names, texts and selectors stands for its value."""
    source: Slug = DEFAULT_SOURCE
    """Name of the source that is asked which values there are."""
    match: Selector | None = None
    """Series selector: only values on the series that it selects count. All series if left out."""
    without: tuple[str, ...] = Field(default=(), alias="except")
    """Values that get no service of this document."""
    keep_for: KeepTime = parse_duration("7d")
    """How long a service stays after its value was last seen, 0s to 400d."""
    limit: Limit = 1_000
    """The most services that the document may stand for, 1 to 10000."""
