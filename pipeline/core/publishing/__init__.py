"""Comparisons -> published rows, and what is said of them: folding, texts, manifest, gate, card."""
