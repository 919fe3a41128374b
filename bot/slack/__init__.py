"""The Slack side: Bolt app, commands, announcements, delivery, home tab, incidents, OAuth install flow."""
