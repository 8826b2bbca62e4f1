"""Marks: what the assembly of a trace writes into a span's data, before the keys of its source.

``agent_from`` says where the agent of a span that names none comes from ("ancestor", "service", "trace"), ``agent_in_source``
is the name that the source gave an agent that was told apart from others of its name, ``requested_by`` is the model call that
asked for the span, ``end_from`` is "trace" if the span has no end and ends where its trace was last seen, ``from_snapshot``
lists the keys that only an earlier snapshot of the span had, and ``disputed`` is true if files say different things about it.

The next file of the trace may change each of them. So an ingest takes them off a stored span, and resolves it again. If the
first key of a source has the name of a mark, a blank stands before it, so that it is not taken for one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

MARKS = ("agent_from", "agent_in_source", "requested_by", "end_from", "from_snapshot", "disputed")
TEXT = r'"(?:[^"\\]|\\.)*"'
MARK = rf'"(?:{"|".join(MARKS)})":(?:{TEXT}|\[(?:{TEXT},?)*\]|true)'
LIKE_MARKS = tuple(f'{{"{name}":' for name in MARKS)
MARKED = re.compile(rf"\{{{MARK}(?:,{MARK})*(,|\}})", re.DOTALL)


def without_marks(text: str | None) -> str | None:
    """The text of a source's payload, with a blank before a first key that has the name of a mark.

    Examples
    --------
    >>> without_marks('{"disputed":true}'), split_marks('{ "disputed":true}'), without_marks('{"label":"x"}')
    ('{ "disputed":true}', ({}, '{ "disputed":true}'), '{"label":"x"}')
    """
    return "{ " + text[1:] if text is not None and text.startswith(LIKE_MARKS) else text


def split_marks(text: str | None) -> tuple[dict[str, Any], str | None]:
    """The marks at the beginning of a payload's text, and the text without them.

    Examples
    --------
    >>> split_marks('{"agent_from":"service","label":"x"}'), split_marks('{"disputed":true}'), split_marks(None)
    (({'agent_from': 'service'}, '{"label":"x"}'), ({'disputed': True}, None), ({}, None))
    """
    match = MARKED.match(text) if text is not None and text.startswith('{"') else None
    if match is None or text is None:
        return {}, text
    marks: dict[str, Any] = orjson.loads(match[0][:-1] + "}")
    rest = text[match.end() :]
    return marks, None if match[1] == "}" else "{" + rest


def with_marks(text: str | None, marks: Mapping[str, Any]) -> str | None:
    """The text of a payload with marks before its other keys; a mark that it has is replaced."""
    if not marks:
        return text
    old, rest = split_marks(text)
    marks = {**old, **marks}
    pairs = orjson.dumps({name: marks[name] for name in MARKS if name in marks}).decode()
    return pairs if rest is None or rest == "{}" else f"{pairs[:-1]},{rest[1:]}"


def with_same_marks(texts: Iterable[str | None], marks: Mapping[str, Any]) -> list[str | None]:
    """The texts of payloads, each as `with_marks` returns it."""
    start = with_marks("{}", marks)
    if start is None or start == "{}":
        return list(texts)
    start = f"{start[:-1]},"
    return [
        start + text[1:] if text is not None and text != "{}" and not text.startswith(LIKE_MARKS) else with_marks(text, marks)
        for text in texts
    ]
