"""Consent: the ledger's events, how each consent stands, and whether a row may be used under it."""
