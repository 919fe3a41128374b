"""Small steps: what a flag shows to whom, changes of it, and the systems that keep flags."""
