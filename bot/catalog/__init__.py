"""What the policies promise, as plain values: services, SLOs, windows, error budget policies."""
