"""Secrets by name; values go to the executor alone."""
