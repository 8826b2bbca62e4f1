"""Watching: sessions that grow, followed into the store."""
