"""Carries out plans: admission, attempts, collection, settlement."""
