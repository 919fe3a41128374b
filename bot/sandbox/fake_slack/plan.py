"""What differs between Slack workspaces: their plan, and what Slack has rolled out to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class WorkspacePlan:
    """The properties of a workspace that decide what its methods accept; tests change them.

    `most_rows` is how many rows a page of a list has at most, whatever `limit` asks for. Without
    `has_charts`, messages with `data_visualization` are refused. On the free plan (`is_free`) a channel
    has one canvas, and canvases that are not a channel's cannot be edited.
    """

    most_rows: int = 1_000
    has_charts: bool = True
    is_free: bool = False
