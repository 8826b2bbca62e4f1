"""Chrome trace events, which browsers, profilers and ui.perfetto.dev share."""

from tokenvis.formats.telemetry.chrome_trace.reader import NAME, read, recognises
from tokenvis.formats.telemetry.chrome_trace.writer import write

WRITERS = {"chrome": write}

__all__ = ["NAME", "WRITERS", "read", "recognises"]
