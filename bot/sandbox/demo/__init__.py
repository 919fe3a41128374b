"""The demonstration shop: services, traffic, and what goes wrong with them."""
