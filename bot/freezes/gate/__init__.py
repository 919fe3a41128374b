"""What the gate keeps in memory, and which changes have begun to ship."""
