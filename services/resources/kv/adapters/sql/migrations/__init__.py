"""How the tables of keys came to be, step by step."""
