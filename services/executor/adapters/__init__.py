"""The executor's backends: its state, its peers, the places where attempts run, and the runtimes that run them."""
