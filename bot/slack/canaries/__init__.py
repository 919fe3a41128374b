"""`/canary`: what is said of canaries, and what steers them."""
