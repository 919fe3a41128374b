"""The demo shop: its simulated traffic, outages and deployments, reported to the bot over HTTP."""
