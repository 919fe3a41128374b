"""Policy documents: reading, validation, `forEach`, reloading."""
