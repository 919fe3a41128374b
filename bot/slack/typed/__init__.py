"""Reads what people type after a command: times, lengths of time, shares, severities, names, links."""
