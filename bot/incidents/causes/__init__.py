"""Which deployment caused which incident: what people say, what rollbacks and reverts show, what is near."""
