"""Stands for the services of `policies/`: counts requests of a small shop for Prometheus.

Run by `compose.yaml`; `FAILING=checkout` makes a service fail one request in twenty.
"""

import os
import random
import time

from prometheus_client import Counter, Histogram, start_http_server

REQUESTS = Counter("http_requests", "Requests that were answered.", ["service", "code"])
DURATION = Histogram(
    "http_request_duration_seconds", "How long requests took.", ["service"], buckets=(0.05, 0.1, 0.3, 1, 3)
)
UPDATES = Counter("search_index_updates", "Updates of the search index.", ["outcome"])

PER_SECOND = {"checkout": 20, "payments": 8, "search": 30}
BAD = 0.0003
"""Below what the objectives allow."""


def serve_one_second(failing: str) -> None:
    """Count the requests of one second."""
    for service, requests in PER_SECOND.items():
        bad = 0.05 if service == failing else BAD
        for _ in range(requests):
            REQUESTS.labels(service, "500" if random.random() < bad else "200").inc()
            DURATION.labels(service).observe(random.expovariate(1 / 0.05))
    UPDATES.labels("late" if random.random() < BAD else "in_time").inc()


def main() -> None:
    """Serve `/metrics` on PORT until stopped."""
    start_http_server(int(os.environ.get("PORT", "8000")))
    while True:
        serve_one_second(os.environ.get("FAILING", ""))
        time.sleep(1)


if __name__ == "__main__":
    main()
