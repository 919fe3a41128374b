"""A first folder of policies, made of the metrics that a Prometheus has already."""
