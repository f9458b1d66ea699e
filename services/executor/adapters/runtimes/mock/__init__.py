"""A runtime that runs nothing: it writes deterministic files that the write set and the success predicates ask for."""
