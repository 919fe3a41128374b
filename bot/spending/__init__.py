"""What happened around a service, and where its error budgets went: incidents, deployments, flags."""
