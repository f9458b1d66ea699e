"""How the tables of streams came to be, step by step."""
