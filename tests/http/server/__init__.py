"""Tests of the server below the endpoints."""
