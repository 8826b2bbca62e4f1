"""Conversion: spans from tables whose rows are not spans: samples at steps, and events that start and end something."""
