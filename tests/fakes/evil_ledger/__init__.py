"""Ledgers that lie: each is run by someone who holds the signing key and the database, and changes history.

They speak the whole protocol, so a client meets them as it meets a ledger.
"""
