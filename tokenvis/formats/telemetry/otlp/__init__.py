"""OTLP: the files of OpenTelemetry's own protocol, in JSON, JSON lines and protobuf; written as JSON."""

from tokenvis.formats.telemetry.otlp.reader import NAME, read, recognises
from tokenvis.formats.telemetry.otlp.writer import write_otlp

WRITERS = {"otlp": write_otlp}

__all__ = ["NAME", "WRITERS", "read", "recognises"]
