"""Commands that write what follows from policies, or policies."""
