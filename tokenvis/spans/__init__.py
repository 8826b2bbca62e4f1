"""Spans: the table that all other modules use, and the arithmetic on its rows. No files, no SQL."""
