"""HTTP for what both teams do regularly."""
