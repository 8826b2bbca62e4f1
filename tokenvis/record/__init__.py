"""Recording: a running program puts its spans into the store, by a recorder of its own or by OpenTelemetry's SDK."""

from tokenvis.record.recorder import Recorder

__all__ = ["Recorder"]
