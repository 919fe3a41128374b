"""The slash commands on budgets, freezes, audit and help."""
