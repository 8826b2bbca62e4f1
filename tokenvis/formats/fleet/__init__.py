"""Fleet files: Parquet files of whole traces, with an index of the traces in each file."""

from tokenvis.formats.fleet.reader import NAME, read, recognises

__all__ = ["NAME", "read", "recognises"]
