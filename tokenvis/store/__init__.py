"""The store: one SQLite file of traces, and the operations on it. Only this package uses SQL."""

from tokenvis.store.append import Appender
from tokenvis.store.follow import Following
from tokenvis.store.load import load_spans, load_traces
from tokenvis.store.maintenance import add_window_index, backup, verify
from tokenvis.store.schema import Span, Trace
from tokenvis.store.store import Store, Written

__all__ = [
    "Appender",
    "Following",
    "Span",
    "Store",
    "Trace",
    "Written",
    "add_window_index",
    "backup",
    "load_spans",
    "load_traces",
    "verify",
]
