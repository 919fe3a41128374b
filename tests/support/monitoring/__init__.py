"""Servers that answer as monitoring systems do, with their documented payloads and errors."""
