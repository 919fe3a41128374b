"""Archives of the audit log: the beginning of the log, moved into files, with the chain going on."""
