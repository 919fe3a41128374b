"""The launch checklist in Slack: its message, its checkboxes, `/governor readiness`."""
