"""Feature flags: their states and changes, ramps, safeguards, and the flag systems that store them."""
