"""Flag systems, one file each; `registry.py` lists them."""
