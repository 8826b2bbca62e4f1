"""Analysis: one question per file; a frame of spans in, a table out."""
