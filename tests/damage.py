"""Damage: valid files changed at random; reading them must give spans and problems, or one IngestError."""

import json
import random
from pathlib import Path

import pandas as pd

from tokenvis import IngestError
from tokenvis.formats.files.head import head_of
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source, origin_of
from tokenvis.formats.registry import FORMATS
from tokenvis.ingestion.assembly import Assembly
from tokenvis.ingestion.ingest import SpanRules
from tokenvis.spans.columns import as_spans
from tokenvis.spans.redaction import Redactor

STRANGE_VALUES = [
    None, True, False, 0, -1, 5, 1.5, 1e308, 2**63, 2**64 - 1, 10**30, -(10**25), "", "x", "\0", "\ud800", "NaN", "[]", "{",
    "=1", "../x", "0001-01-01T00:00+23:59", "9999-12-31T23:59:59.999999Z", "2026-06-21T10:00:00Z", "1781293600000000000",
    [], [[]], [1], ["x"], {}, {"a": 1}, [{}], {"x": [None]},
]  # fmt: skip
STRANGE_BYTES = [
    b"",
    b"\0",
    b"\xff",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\\",
    b"NaN",
    b"1e999",
    b"\\ud800",
    b"\xef\xbb\xbf",
]


def value_paths(value, here=()):
    """The path of every value inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, inner in items:
        yield (*here, key)
        yield from value_paths(inner, (*here, key))


def with_changed_value(document, chance):
    """A JSON value in which one value or key is changed, deleted or duplicated."""
    paths = list(value_paths(document))
    if not paths:
        return chance.choice(STRANGE_VALUES)
    *parent_path, last = chance.choice(paths)
    target = document
    for key in parent_path:
        target = target[key]
    action = chance.randrange(4)
    if action == 0:
        del target[last]
    elif action == 1 and isinstance(target, dict):
        target[chance.choice(["", "x", "id", *target])] = target.pop(last)
    elif action == 2 and isinstance(target, list):
        target.insert(last, target[last])
    else:
        target[last] = chance.choice(STRANGE_VALUES)
    return document


def damaged(text, seed):
    """The text with a few values or bytes changed; the same seed gives the same changes."""
    chance = random.Random(seed)
    lines = text.split(b"\n")
    if chance.random() < 0.6:
        for _ in range(chance.randint(1, 3)):
            try:
                row = chance.randrange(len(lines))
                if b"\n" in text and chance.random() < 0.8:
                    lines[row] = json.dumps(with_changed_value(json.loads(lines[row]), chance)).encode()
                else:
                    lines = [json.dumps(with_changed_value(json.loads(b"\n".join(lines)), chance)).encode()]
            except ValueError:
                break
        return b"\n".join(lines)
    whole = bytearray(text)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(whole) + 1)
        length = chance.choice([0, 1, 1, 2, 20, 1000])
        whole[start : start + length] = chance.choice([*STRANGE_BYTES, bytes(whole[start : start + 50] * 2)])
    return bytes(whole[: chance.randrange(len(whole) + 1)] if chance.random() < 0.3 else whole)


def read_damaged(name, path, content="full"):
    """Read a damaged file as a format, as `ingest` does but without a database; return the number of spans."""
    source = Source(Path(path), Path(path).name, origin_of(Path(path)))
    reading = Reading(source)
    assembly = Assembly(Path(path).with_suffix(".spool"))
    assembly.begin(reading)
    rules = SpanRules(None, None, None, Redactor(content))
    count = 0
    try:
        assert str(head_of(source))
        for span in FORMATS[name].read(reading):
            count += 1
            try:
                rules.redact(span)
                assembly.add(span)
            except (ValueError, TypeError, RecursionError) as error:
                reading.add_problem(span.line, str(error))
    except IngestError:
        pass
    frames = list(assembly.frames({}))
    spans = as_spans(pd.concat(frames).drop(columns="file")) if frames else pd.DataFrame()
    for data in spans["data"].dropna() if len(spans) else ():
        assert isinstance(json.loads(data), dict)
    assert all(str(problem) for problem in reading.problems)
    return count
