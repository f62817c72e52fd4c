"""Benchmarks: the folders below data/benchmarks, whose texts must not be trained on; no stage ingests them."""
