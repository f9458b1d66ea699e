"""Keys and values of a plan."""
