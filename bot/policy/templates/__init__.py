"""Documents with `forEach`: one service for each value of a label."""
