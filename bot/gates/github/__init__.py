"""GitHub, by an App: deployment protection rules, merge queues and pull requests."""
