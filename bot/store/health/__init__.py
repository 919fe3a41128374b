"""What can be wrong with a database: away, full, locked, lost, damaged or of a newer program."""
