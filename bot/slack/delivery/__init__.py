"""Delivery of outbox messages to Slack: queues, retries, rate limits, batches."""
