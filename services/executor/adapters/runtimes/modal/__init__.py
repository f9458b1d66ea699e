"""Sandboxes of Modal: one for each attempt, found by its name whoever asks."""
