"""Scratch of a plan: keys, queues and volumes; and the names of secrets."""
