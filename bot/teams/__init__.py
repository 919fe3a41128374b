"""What both teams do regularly, at times that are due."""
