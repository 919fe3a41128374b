"""The `/flag` command: arguments, replies, buttons, approvals, announcements."""
