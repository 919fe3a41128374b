"""How the program talks to the drivers of databases."""
