"""Files: whatever was given, as records one by one: heads, lines, documents, rows; what readers of any format share."""
