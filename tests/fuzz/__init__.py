"""Texts that nobody would write, by the thousand: what reads them refuses or is right."""
