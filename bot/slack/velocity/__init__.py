"""`/velocity`: how fast services and teams ship, beside their budgets."""
