"""The five services of Theory; each is a package of its own and meets the others over the wire only."""
