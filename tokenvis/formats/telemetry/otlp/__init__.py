"""OTLP: the files of OpenTelemetry's own protocol, in JSON, JSON lines and protobuf; written as JSON."""

from tokenvis.formats.telemetry.otlp.reader import NAME, read, recognises
from tokenvis.formats.telemetry.otlp.writer import write

WRITERS = {"otlp": write}

__all__ = ["NAME", "WRITERS", "read", "recognises"]
