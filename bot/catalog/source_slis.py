"""What SLIs ask of sources of other types than Prometheus, as plain values. Pure; no clock, no I/O."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SqlSli:
    """A query that returns the events by time: `bucket`, `total`, and `bad` or `good`."""

    source: str
    sql: str

    @property
    def description(self) -> str:
        """What is counted, in words."""
        return f"rows of {self.source}: {' '.join(self.sql.split())}"


@dataclass(frozen=True, slots=True)
class PluginSli:
    """What is asked of a source of an installed package: what the policy says, as JSON."""

    source: str
    text: str

    @property
    def description(self) -> str:
        """What is counted, in words."""
        return f"events of {self.source}: {self.text}"


OtherSli = SqlSli | PluginSli
"""What is asked of a source of another type than Prometheus, in a form of its own."""
