"""The parts of the picture of a critical path."""
