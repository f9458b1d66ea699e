"""Immutable documents by reference, and the snapshots that pin them."""
