"""Files: any input as records, one by one. Heads, lines, documents and rows, shared by the readers of all formats."""
