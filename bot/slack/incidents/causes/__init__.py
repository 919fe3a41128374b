"""What people say caused an incident: the form and `/incident caused-by`."""
