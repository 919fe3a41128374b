"""Links to incidents and services: what Slack shows below them, and in the pane beside them."""
