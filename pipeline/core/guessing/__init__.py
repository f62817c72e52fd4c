"""Guesses about an unknown log, from the names and the values that its first records hold."""
