"""What every exporter stands on: published rows in bounded batches, labelled responses, and messages as expressions."""
