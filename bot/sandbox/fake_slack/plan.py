"""What differs between Slack workspaces: their plan, and what Slack has rolled out to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class WorkspacePlan:
    """The properties of a workspace that decide what its methods accept; tests change them.

    `most_rows` is how many rows a page of a list has at most, whatever `limit` asks for. Without
    `has_charts`, messages with `data_visualization` are refused, without `has_tables` `data_table`;
    without `has_work_objects` the entities of links are ignored. On the free plan (`is_free`) there are no
    user groups, and a channel has one canvas.
    """

    most_rows: int = 1_000
    has_charts: bool = True
    has_tables: bool = True
    has_work_objects: bool = True
    is_free: bool = False

    @property
    def missing_blocks(self) -> frozenset[str]:
        """The types of blocks that the workspace does not have yet."""
        has = {"data_visualization": self.has_charts, "data_table": self.has_tables}
        return frozenset(kind for kind, is_there in has.items() if not is_there)
