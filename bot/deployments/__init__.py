"""What was deployed, where and when: told by GitHub, kept once."""
