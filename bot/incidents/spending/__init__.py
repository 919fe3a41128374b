"""What deployments, flags and incidents have to do with each other, and with what was spent of a budget."""
