"""The gates' part of the application."""
