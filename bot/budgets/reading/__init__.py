"""Reading: what the ledger lacks is read from the sources in batches, as a plan says, and written to it."""
