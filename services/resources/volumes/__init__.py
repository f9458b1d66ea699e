"""Scratch directories of a plan."""
