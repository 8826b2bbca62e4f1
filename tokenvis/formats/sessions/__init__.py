"""Sessions: logs that coding agents write about their work."""
