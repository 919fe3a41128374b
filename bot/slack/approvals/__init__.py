"""Approve and Decline: the buttons, the forms for a comment, and what a decision leads to."""
