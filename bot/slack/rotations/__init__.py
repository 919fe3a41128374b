"""Rotations in Slack: the command, what is announced, and the buttons of swaps."""
