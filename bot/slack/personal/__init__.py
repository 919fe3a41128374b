"""What people asked to be told of in direct messages: their settings, and the messages."""
