"""The page: an explorer with its traces as one HTML file that works anywhere, offline.

The file contains the script, the style sheet, and each answer that the page may request, as a block of base64-encoded gzip. Its
content security policy allows the script and the style sheet by hash, and no network address. Trace data is never markup.
"""

import base64
import gzip
import hashlib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
import pandas as pd

from tokenvis.errors import BadOption, escaped, plural
from tokenvis.explorer.answers import TRACE_KEYS, Answers, details
from tokenvis.explorer.bundle import bundle, style_sheet
from tokenvis.explorer.keys import is_key_column, keys_in
from tokenvis.explorer.wire import Message
from tokenvis.output import atomic_write, one_line, writable_path
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.spans.columns import TRACE_NAME, trace_names_in, with_trace_names
from tokenvis.spans.fields import json_values
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.redaction import AGENT_KEY, STRUCTURAL_KEYS, Content, Redactor, is_structure, redacted_data

SPANS_PER_BLOCK = 2_000  # spans per block of details
PAGE_GZIP_LEVEL = 6
NUMBER_OBJECTS = ("boolean", "integer", "floating")  # kinds of values in an object column, apart from missing ones
NO_SELECTION: Int64Array = np.empty(0, dtype=np.int64)
DEFAULT_OPENING: dict[str, Any] = {"steps": False, "fold": True, "state": {}}  # shows the whole first trace
GENERATOR_TAG = b'<meta name="generator" content="tokenvis">'
PAGE_STYLE = """
html, body { height: 100%; margin: 0; }
body { background: #fff; }
#explorer { height: 100%; }
#explorer > .tokenvis { height: 100%; border: 0; border-radius: 0; }
@media (prefers-color-scheme: dark) { body { background: #16191f; } }
"""


@dataclass(frozen=True)
class Page:
    """A saved page: its path, its size in bytes, and how much free text it includes."""

    path: Path
    size: int
    n_spans: int
    content: Content

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        texts = {"none": "without free text", "short": "with the first 200 characters of each text", "full": "with all texts"}
        return f"{escaped(self.path)}: {size_text(self.size)}, {plural(self.n_spans, 'span')}, {texts[self.content]}"

    __repr__ = __str__


def is_page(path: Path) -> bool:
    """Whether a file is a saved page."""
    with path.open("rb") as file:
        return GENERATOR_TAG in file.read(4096)


def size_text(size: int) -> str:
    """A size in bytes as text: "840 kB", "1.2 MB"."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 1):,.0f} kB"


def write_page(
    spans: pd.DataFrame,
    path: Any,
    *,
    opening: dict[str, Any] = DEFAULT_OPENING,
    selected: Int64Array = NO_SELECTION,
    content: Content = "none",
    hue: str = "agent_id",
    palette: Palette = None,
) -> Page:
    """Write spans as a page, with an initial state and selection; ``palette`` has the colours of ``hue``.

    `BadOption` if the path cannot be a file.
    """
    target = writable_path(path)
    answers = Answers(redacted_spans(spans, content), hue=hue, palette=palette)
    traces = answers.traces()
    initial = {"trace": next(iter(answers.rows), None), **opening, "traces": traces}
    initial["state"] = {
        part: value for part, value in opening["state"].items() if is_usable_state(answers, initial["trace"], part, value)
    }
    with atomic_write(target) as file:
        write_html(file, answers, initial, selected, omitted=content == "none")
    return Page(target, target.stat().st_size, len(spans), content)


def is_usable_state(answers: Answers, trace: str | None, part: str, value: Any) -> bool:
    """Whether a page can use a part of the initial state: its key may be redacted."""
    if part not in ("by", "hue") or trace is None:
        return True
    try:
        return bool(answers.column(trace, value).names)
    except BadOption:
        return False


def redacted_spans(spans: pd.DataFrame, content: Content) -> pd.DataFrame:
    """The spans with the chosen amount of free text; other columns only if their names or types are safe."""
    if content == "full":
        return spans
    redactor = Redactor(content)
    kept = {*TRACE_KEYS, AGENT_KEY}
    for column in [column for column in spans.columns if is_key_column(spans, column) and column not in kept]:
        if content == "none" and column in STRUCTURAL_KEYS:
            is_named = [is_structure(column, value) for value in json_values(spans[column])]
            spans = spans.assign(**{column: spans[column].where(np.array(is_named, dtype=bool))})
        elif content == "none" and not is_safe_column(spans[column]):
            spans = spans.drop(columns=column)
        elif spans[column].dtype in ("str", "object", "category"):
            spans = spans.assign(**{column: spans[column].astype(object).map(redactor.shortened, na_action="ignore")})
    if TRACE_NAME in spans and content == "none":  # it may be the beginning of a prompt
        spans = spans.drop(columns=TRACE_NAME)
    elif TRACE_NAME in spans:
        names = {trace: redactor.shortened(name) for trace, name in trace_names_in(spans).items()}
        spans = with_trace_names(spans.drop(columns=TRACE_NAME), names)
    if "data" not in spans:
        return spans
    return spans.assign(data=redacted_data(spans, redactor))


def is_safe_column(values: pd.Series) -> bool:
    """Whether a user's column contains numbers, times, or texts that are names."""
    distinct = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
    types = (pd.api.types.is_numeric_dtype, pd.api.types.is_datetime64_any_dtype, pd.api.types.is_timedelta64_dtype)
    if any(is_type(distinct.dtype) for is_type in types):
        return True
    is_named = bool(Redactor("none").names_and_numbers({str(values.name): "text"}))
    return is_named or pd.api.types.infer_dtype(distinct, skipna=True) in NUMBER_OBJECTS


def write_html(file: IO[bytes], answers: Answers, opening: dict[str, Any], selected: Int64Array, *, omitted: bool) -> None:
    """Write the page: head, blocks, script."""
    script = bundle("page")
    styles = style_sheet() + PAGE_STYLE
    directives = [
        *("default-src 'none'", f"script-src '{csp_hash(script)}'", f"style-src '{csp_hash(styles)}'"),
        *("base-uri 'none'", "form-action 'none'"),
    ]
    shown = next((trace for trace in opening["traces"] if trace["id"] == opening["trace"]), {"id": "no trace"})
    title = html.escape(one_line(shown.get("name", shown["id"])))
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(directives)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{GENERATOR_TAG.decode()}\n<title>{title} · tokenvis</title>\n<style>{styles}</style>\n</head>\n<body>\n"
        '<div id="explorer"></div>\n<noscript>This page needs JavaScript to draw a trace.</noscript>\n'
    )
    file.write(head.encode(errors="replace"))
    contents = []
    for number, trace in enumerate(answers.rows):
        entry: dict[str, Any] = {
            "trace": trace,
            "blocks": {},
            "keys": {},
            "chunk": SPANS_PER_BLOCK,
            "n": len(answers.rows[trace]),
            "omitted": omitted,
        }
        rows = selected if trace == opening["trace"] else NO_SELECTION
        for section, name, block in page_blocks(answers, trace, rows, opening["state"]):
            block_id = f"trace-{number}-{len(entry['blocks']) + len(entry['keys'])}"
            entry[section][name] = block_id
            write_block(file, block_id, block)
        contents.append(entry)
    write_block(file, "contents", orjson.dumps({"opening": opening, "contents": contents}))
    file.write(f'<script type="module">{script}</script>\n</body>\n</html>\n'.encode())


def csp_hash(text: str) -> str:
    """The hash of a script or a style sheet in a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def write_block(file: IO[bytes], name: str, content: bytes) -> None:
    """Write a block of data, in a script element that is not executed."""
    packed = base64.b64encode(gzip.compress(content, PAGE_GZIP_LEVEL, mtime=0))
    file.write(b'<script type="text/plain" id="' + name.encode() + b'">' + packed + b"</script>\n")


def page_blocks(answers: Answers, trace: str, selected: Int64Array, state: dict[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    """All answers about a trace: (section of the contents, name, answer)."""
    spans = answers.spans_of_trace(trace)
    selection = Message({})
    selection.add("rows", selected, ascending=True)
    yield "blocks", "selection", selection.to_bytes()
    for question in ("trace", "facts", "moves"):
        yield "blocks", question, answers.answer(question, trace).to_bytes()
    state_keys = [state[name] for name in ("by", "hue") if name in state]
    for key in dict.fromkeys(["label", *keys_in(spans), *state_keys]):
        try:
            yield "keys", key, answers.answer("column", trace, key=key).to_bytes()
        except BadOption:  # no span has it, or it has too many values
            continue
    for first in range(0, len(spans), SPANS_PER_BLOCK):
        yield (
            "blocks",
            f"details-{first // SPANS_PER_BLOCK}",
            orjson.dumps(details(spans.iloc[first : first + SPANS_PER_BLOCK])),
        )
