"""Pairtrail: preference pairs with a paper trail."""
