"""Rules that the models cannot state: within one document, between documents, between workspaces."""
