"""A local implementation of Slack for tests and the sandbox, as strict as Slack's."""
