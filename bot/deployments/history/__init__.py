"""What was deployed, one value for each deployment, however many jobs and outcomes were reported of it."""
