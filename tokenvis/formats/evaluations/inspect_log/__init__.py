"""Evaluation logs of Inspect."""

from tokenvis.formats.evaluations.inspect_log.reader import NAME, read, recognises

__all__ = ["NAME", "read", "recognises"]
