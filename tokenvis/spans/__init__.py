"""Spans: the one table that everything else is a function of, and the arithmetic on its rows. No files, no SQL."""
