"""Governor: an async Slack bot that keeps delivery speed and reliability in balance."""
