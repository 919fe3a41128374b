"""Goals that development and reliability share: how far each half of them has come."""
