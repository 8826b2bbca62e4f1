"""Ingestion: files of traces, read into the store: once (`tokenvis.ingest`), or as they grow (`Watch`)."""

from tokenvis.ingestion.report import Report
from tokenvis.ingestion.sessions import find_sessions
from tokenvis.ingestion.watch.watch import Change, Watch

__all__ = ["Change", "Report", "Watch", "find_sessions"]
