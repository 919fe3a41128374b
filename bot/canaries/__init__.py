"""Canaries: changes that get traffic step by step, shown and steered."""
