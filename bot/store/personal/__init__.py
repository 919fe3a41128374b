"""What people have asked to be told of in direct messages, and the tasks that tell them."""
