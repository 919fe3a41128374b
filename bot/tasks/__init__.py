"""Tasks that are due at a time: one durable table, one runner, and a handler for each kind of task."""
