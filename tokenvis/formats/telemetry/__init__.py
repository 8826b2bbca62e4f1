"""Telemetry: exports of tracing libraries and servers."""
