"""What both teams of a service do together: at times that are due, and before a launch."""
