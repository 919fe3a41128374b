"""Block Kit validation: blocks, elements and limits as Slack publishes them."""
