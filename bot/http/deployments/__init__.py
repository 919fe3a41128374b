"""Deployments over HTTP: reports, webhooks of other systems, and the list of them."""
