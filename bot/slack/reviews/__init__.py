"""Reviews of long freezes in Slack: their thread, the form for the work, the buttons to agree."""
