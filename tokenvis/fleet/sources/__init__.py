"""Sources: where the traces of a fleet are: folders of Parquet files, PostgreSQL, a store, a frame."""
