"""What `governor doctor` checks: environment, policies, database, Slack, sources and flag backend."""
