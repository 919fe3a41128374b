"""What people ask about incidents: the list and the report."""
