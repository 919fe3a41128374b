"""What broke, what it cost, and what is learned from it."""
