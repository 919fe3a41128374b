"""Tests of the channels of finished incidents."""
