"""What changes flags without being asked: guard, timers, exhaustion; and what notices drift."""
