"""Recording: store the spans of a running program, with `Recorder` or with OpenTelemetry's SDK."""

from tokenvis.record.recorder import Recorder

__all__ = ["Recorder"]
