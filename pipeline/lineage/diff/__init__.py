"""Diff: what became of every row between two builds, compared row by row without checking either out."""
