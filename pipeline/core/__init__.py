"""What adapters, stages, measures and exporters stand on."""
