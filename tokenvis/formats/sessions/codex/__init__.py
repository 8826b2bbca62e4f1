"""Rollouts of Codex."""

from tokenvis.formats.sessions.codex.reader import NAME, Following, family_of, is_fork, mains_of, read, recognises

__all__ = ["NAME", "Following", "family_of", "is_fork", "mains_of", "read", "recognises"]
