"""Tests of duplicates of incidents."""
