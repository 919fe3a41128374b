"""What a Workspace says of its monitoring systems, and what an SLO asks of each: one file a type."""
