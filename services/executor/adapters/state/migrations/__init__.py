"""How the tables of the executor came to be, step by step."""
