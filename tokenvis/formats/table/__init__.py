"""Tables with a row for each span: CSV, Parquet, JSON lines or a DataFrame."""

from tokenvis.formats.table.reader import NAME, read, recognises
from tokenvis.formats.table.writer import write_csv, write_jsonl, write_parquet

WRITERS = {"parquet": write_parquet, "csv": write_csv, "jsonl": write_jsonl}

__all__ = ["NAME", "WRITERS", "read", "recognises"]
