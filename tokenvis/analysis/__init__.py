"""Analysis: a question a file; a frame of spans in, a table out."""
