"""What is due for incidents and actions at a time: reminders, owners of actions, costly incidents."""
