"""What is received of alerts."""
