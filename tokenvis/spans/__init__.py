"""Spans: the one table that everything else is a function of, and what may be asked of its rows. No file, no SQL."""
