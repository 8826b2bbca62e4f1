"""Which sources are sessions of Claude Code: files of lines, and documents of lines."""

from tokenvis.formats.files.head import Head
from tokenvis.formats.files.lines import HEAD_LINES
from tokenvis.formats.sessions.claude_code import reader
from tokenvis.formats.sessions.claude_code.session_documents import ENVELOPE_KEY, path_in_document


def recognises(head: Head) -> bool:
    """Whether a source is a file of transcript lines, or a document of them."""
    path = path_in_document(head)
    if path is None:
        return reader.recognises(head)
    value = head.values[0]
    lines = [
        line for line in (value[ENVELOPE_KEY] if isinstance(value, dict) else value)[:HEAD_LINES] if isinstance(line, dict)
    ]
    if isinstance(value, dict):  # the name of the envelope tells most: its lines may have no ids
        return any(str(line.get("type")) in reader.CLAUDE_LINE_TYPES for line in lines)
    return reader.recognises(Head("lines", lines))
