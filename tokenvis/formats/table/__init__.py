"""Tables: a row a span, in CSV, Parquet, JSON lines or a DataFrame."""
