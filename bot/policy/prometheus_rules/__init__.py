"""Policies as rules of Prometheus: error ratios and burn alerts, so that paging goes on without the bot."""
