"""What is said to people beside the announcements, wired."""
