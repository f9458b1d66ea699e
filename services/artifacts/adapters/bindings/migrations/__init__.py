"""How the tables of paths came to be, step by step."""
