"""Prometheus as a source of SLIs: HTTP API, PromQL, counters that restart."""
