"""How long rows are kept: a rule for every table, and the deletion of what has expired."""
