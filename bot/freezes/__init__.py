"""May this change ship."""
