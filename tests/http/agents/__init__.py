"""Agents at the API and over MCP."""
