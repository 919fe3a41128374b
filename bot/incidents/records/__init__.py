"""Database access: incidents and timelines, channels, workflow steps and actions as rows."""
