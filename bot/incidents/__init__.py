"""Incidents: their life cycle, cost, timelines, postmortems and actions; knows nothing of Slack."""
