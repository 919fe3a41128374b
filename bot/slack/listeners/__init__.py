"""The listeners for what Slack sends about parts of the app of their own."""
