"""Leaks: whether files that someone is about to train on hold rows of the heldout side."""
