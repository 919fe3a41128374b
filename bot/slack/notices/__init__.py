"""What is said to people and teams beside the announcements: undelivered pages, direct messages."""
