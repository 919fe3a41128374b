"""Exemptions: asked for, granted or declined, used, listed; and kinds of change that need none."""
