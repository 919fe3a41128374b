"""All texts that people read, taken from the code: `python -m tests.texts` prints them in reading order."""
