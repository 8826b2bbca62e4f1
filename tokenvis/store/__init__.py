"""The store: one SQLite file of traces, and what is done with it. SQL is spoken in this package alone."""

from tokenvis.store.append import Appender
from tokenvis.store.follow import Following
from tokenvis.store.load import load_spans, load_traces
from tokenvis.store.maintenance import backup, verify
from tokenvis.store.schema import Span, Trace
from tokenvis.store.store import Store, Written

__all__ = ["Appender", "Following", "Span", "Store", "Trace", "Written", "backup", "load_spans", "load_traces", "verify"]
