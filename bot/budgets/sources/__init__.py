"""Sources of SLIs, one package each, and the registry that opens them."""
