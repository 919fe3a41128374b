"""The HTTP interface: the API, webhooks, OFREP, health checks and metrics."""
