"""Channel announcements of freezes, deployments and policy faults."""
