"""Rollouts of Codex."""

from tokenvis.formats.sessions.codex.reader import NAME, is_fork, main_file_candidates, read, recognises, session_key_of
from tokenvis.formats.sessions.codex.reader import CodexFollower as SessionFollower

__all__ = ["NAME", "SessionFollower", "is_fork", "main_file_candidates", "read", "recognises", "session_key_of"]
