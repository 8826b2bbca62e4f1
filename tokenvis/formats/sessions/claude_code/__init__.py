"""Sessions of Claude Code."""

from tokenvis.formats.sessions.claude_code.reader import NAME, Following, family_of, is_fork, mains_of, read, recognises

__all__ = ["NAME", "Following", "family_of", "is_fork", "mains_of", "read", "recognises"]
