"""Chrome trace events, which browsers, profilers and ui.perfetto.dev share."""

from tokenvis.formats.telemetry.chrome_trace.reader import NAME, read, recognises
from tokenvis.formats.telemetry.chrome_trace.writer import write_chrome_trace

WRITERS = {"chrome": write_chrome_trace}

__all__ = ["NAME", "WRITERS", "read", "recognises"]
