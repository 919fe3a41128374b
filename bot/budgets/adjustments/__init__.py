"""What people and policies take back from the record: times left out, and corrections of what was counted."""
