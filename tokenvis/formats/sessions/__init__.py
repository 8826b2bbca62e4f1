"""Sessions: what coding agents write about their work."""
