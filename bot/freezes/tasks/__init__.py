"""What is due for holds at a time."""
