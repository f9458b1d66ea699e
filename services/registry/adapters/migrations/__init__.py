"""How the tables of the registry came to be, step by step."""
