"""Decoded records -> candidates, and candidates -> comparisons with ids."""
