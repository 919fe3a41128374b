"""How much of each error budget is left: readings from sources, the ledger, burn rates."""
