"""The ledger: good and bad events of every SLO by time bucket, in the database."""
