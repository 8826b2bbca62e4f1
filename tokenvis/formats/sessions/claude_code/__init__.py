"""Sessions of Claude Code."""

from tokenvis.formats.sessions.claude_code.reader import (
    NAME,
    is_fork,
    main_file_candidates,
    read,
    session_key_of,
)
from tokenvis.formats.sessions.claude_code.reader import ClaudeCodeFollower as SessionFollower
from tokenvis.formats.sessions.claude_code.recognition import recognises

__all__ = ["NAME", "SessionFollower", "is_fork", "main_file_candidates", "read", "recognises", "session_key_of"]
