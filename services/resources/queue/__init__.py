"""Topics and messages of a plan."""
