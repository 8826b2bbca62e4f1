"""The table of formats: a short name, what writes it, and the ending of a file's name that means it."""

from collections.abc import Callable
from typing import IO, Literal, TypeAlias

import pandas as pd

from tokenvis.writers import chrome, flat, otlp_json

Format: TypeAlias = Literal["chrome", "otlp", "parquet", "csv", "jsonl"]
Writer: TypeAlias = Callable[[pd.DataFrame, IO[bytes]], None]  # takes a checked frame, its names Categorical

FORMATS: dict[str, Writer] = {
    "chrome": chrome.write,
    "otlp": otlp_json.write,
    "parquet": flat.write_parquet,
    "csv": flat.write_csv,
    "jsonl": flat.write_jsonl,
}
SUFFIXES = {  # the first that fits counts
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".otlp.json": "otlp",
    ".json": "chrome",
}
