"""A strict stand-in for Slack: it answers the Web API, sends events, and refuses what Slack refuses."""
