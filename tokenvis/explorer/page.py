"""The page: an explorer as one HTML file, with its traces in it, that works anywhere, offline.

Everything is inside: the script, the style sheet, and each answer that a page may ask for as a block, in gzip, in base64. The
page's own rule (a content security policy) allows those two by their hashes, and no address at all. Nothing from a trace
stands in it as markup.
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

from tokenvis.errors import BadOption, plural
from tokenvis.explorer.answers import FIRST_KEYS, Answers, details
from tokenvis.explorer.bundle import bundle, style_sheet
from tokenvis.explorer.keys import is_column, keys_in
from tokenvis.explorer.wire import Message
from tokenvis.output import atomic_write, one_line, writable_path
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.spans.fields import plain_values
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import parsed
from tokenvis.spans.redaction import OURS, Content, Keeper, encoded, is_name

CHUNK = 2_000  # spans whose details are one block
LEVEL = 6  # of gzip
NOTHING: Int64Array = np.empty(0, dtype=np.int64)
OPENING: dict[str, Any] = {"steps": False, "fold": True, "state": {}}  # what is shown first: the first trace, all of it
GENERATOR = b'<meta name="generator" content="tokenvis">'
PAGE_STYLE = """
html, body { height: 100%; margin: 0; }
body { background: #fff; }
#explorer { height: 100%; }
#explorer > .tokenvis { height: 100%; border: 0; border-radius: 0; }
@media (prefers-color-scheme: dark) { body { background: #16191f; } }
"""


@dataclass(frozen=True)
class Page:
    """A page that was written: where, how large it is, and how much of the free text it holds."""

    path: Path
    size: int
    n_spans: int
    content: Content

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        texts = {"none": "without free text", "short": "with the first 200 characters of each text", "full": "with all texts"}
        return f"{self.path}: {size_text(self.size)}, {plural(self.n_spans, 'span')}, {texts[self.content]}"

    __repr__ = __str__


def is_page(path: Path) -> bool:
    """Whether a file is such a page."""
    with path.open("rb") as file:
        return GENERATOR in file.read(4096)


def size_text(size: int) -> str:
    """Bytes, as one reads them: "840 kB", "1.2 MB"."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 1):,.0f} kB"


def write_page(
    spans: pd.DataFrame,
    path: Any,
    *,
    opening: dict[str, Any] = OPENING,
    selected: Int64Array = NOTHING,
    content: Content = "none",
    hue: str = "agent_id",
    palette: Palette = None,
) -> Page:
    """Write spans as a page, with what it shows first and selects; ``palette`` holds the colours of ``hue``.

    `BadOption` where no file can be there.
    """
    place = writable_path(path)
    answers = Answers(kept_spans(spans, content), hue=hue, palette=palette)
    traces = [{"id": trace, "n": len(rows)} for trace, rows in answers.rows.items()]
    whole = {"trace": next(iter(answers.rows), None), **opening, "traces": traces}
    whole["state"] = {part: value for part, value in opening["state"].items() if is_there(answers, whole["trace"], part, value)}
    with atomic_write(place) as file:
        write_html(file, answers, whole, selected, omitted=content == "none")
    return Page(place, place.stat().st_size, len(spans), content)


def is_there(answers: Answers, trace: str | None, part: str, value: Any) -> bool:
    """Whether a page can begin with a part of the state: its key may be among what is left out."""
    if part not in ("by", "hue") or trace is None:
        return True
    try:
        return bool(answers.column(trace, value).names)
    except BadOption:
        return False


def kept_spans(spans: pd.DataFrame, content: Content) -> pd.DataFrame:
    """The spans with as much of their texts as is wanted; of further columns those whose names or types allow it."""
    if content == "full":
        return spans
    keeper = Keeper(content)
    for column in [column for column in spans.columns if is_column(spans, column) and column not in FIRST_KEYS]:
        if content == "none" and column in OURS:
            named = [is_name(value) for value in plain_values(spans[column])]
            spans = spans.assign(**{column: spans[column].where(np.array(named, dtype=bool))})
        elif content == "none" and not harmless(spans[column]):
            spans = spans.drop(columns=column)
        elif spans[column].dtype in ("str", "object", "category"):
            spans = spans.assign(**{column: spans[column].astype(object).map(keeper.shortened, na_action="ignore")})
    if "data" not in spans:
        return spans
    payloads = (keeper.kept(dict(payload), "") for payload in parsed(spans))
    data = [encoded({key: value for key, value in payload.items() if value != ""}) for payload in payloads]
    return spans.assign(data=pd.Series(data, index=spans.index, dtype="str"))


def harmless(values: pd.Series) -> bool:
    """Whether a column of the frame's own holds numbers, times, or texts that name things."""
    held = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
    types = (pd.api.types.is_numeric_dtype, pd.api.types.is_datetime64_any_dtype, pd.api.types.is_timedelta64_dtype)
    return any(is_type(held.dtype) for is_type in types) or bool(Keeper("none").names_of({str(values.name): "text"}))


def write_html(file: IO[bytes], answers: Answers, opening: dict[str, Any], selected: Int64Array, *, omitted: bool) -> None:
    """The page: head, blocks, script."""
    script = bundle("page")
    styles = style_sheet() + PAGE_STYLE
    rules = [
        *("default-src 'none'", f"script-src '{digest(script)}'", f"style-src '{digest(styles)}'"),
        *("base-uri 'none'", "form-action 'none'"),
    ]
    title = html.escape(one_line(opening["trace"] or "no trace"))
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{GENERATOR.decode()}\n<title>{title} · tokenvis</title>\n<style>{styles}</style>\n</head>\n<body>\n"
        '<div id="explorer"></div>\n<noscript>This page draws a trace, and needs JavaScript for it.</noscript>\n'
    )
    file.write(head.encode(errors="replace"))
    contents = []
    for number, trace in enumerate(answers.rows):
        entry: dict[str, Any] = {
            "trace": trace,
            "blocks": {},
            "keys": {},
            "chunk": CHUNK,
            "n": len(answers.rows[trace]),
            "omitted": omitted,
        }
        chosen = selected if trace == opening["trace"] else NOTHING
        for kind, name, block in blocks_of(answers, trace, chosen, opening["state"]):
            place = f"trace-{number}-{len(entry['blocks']) + len(entry['keys'])}"
            entry[kind][name] = place
            write_block(file, place, block)
        contents.append(entry)
    write_block(file, "contents", orjson.dumps({"opening": opening, "contents": contents}))
    file.write(f'<script type="module">{script}</script>\n</body>\n</html>\n'.encode())


def digest(text: str) -> str:
    """How a content security policy names a script or a style sheet."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def write_block(file: IO[bytes], name: str, content: bytes) -> None:
    """A block of data, which is no script."""
    packed = base64.b64encode(gzip.compress(content, LEVEL, mtime=0))
    file.write(b'<script type="text/plain" id="' + name.encode() + b'">' + packed + b"</script>\n")


def blocks_of(answers: Answers, trace: str, selected: Int64Array, state: dict[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    """All that can be asked of a trace: (what it is listed under, its name, the answer)."""
    spans = answers.of(trace)
    selection = Message({})
    selection.add("rows", selected, ascending=True)
    yield "blocks", "selection", selection.whole()
    for what in ("trace", "facts", "moves"):
        yield "blocks", what, answers.answer(what, trace).whole()
    shown = [state[name] for name in ("by", "hue") if name in state]
    for key in dict.fromkeys(["label", *keys_in(spans), *shown]):
        try:
            yield "keys", key, answers.answer("column", trace, key=key).whole()
        except BadOption:  # no span has it, or there are too many values
            continue
    for first in range(0, len(spans), CHUNK):
        yield "blocks", f"details-{first // CHUNK}", orjson.dumps(details(spans.iloc[first : first + CHUNK]))
