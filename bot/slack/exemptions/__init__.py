"""Exemptions by buttons and forms: asked for, granted, approved and declined."""
