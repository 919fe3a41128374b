"""The OAuth install flow and token rotation."""
