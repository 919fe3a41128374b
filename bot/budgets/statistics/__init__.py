"""What counts of events prove: posterior of an error rate, sequential tests. Pure; no clock, no I/O."""
