"""What sets the metrics of services and SLOs, of delivery, and of the bot itself."""
