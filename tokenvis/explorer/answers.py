"""Answers: what a page may ask of a frame of spans.

One trace at a time: its spans (``trace``), what else is known of each (``facts``, ``moves``, ``column``, ``labels``,
``details``), which keys there are (``keys``), and where a text stands (``search``). Spans are named by their row in the trace.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, TraceNotFound, check_choice, listed, quoted
from tokenvis.explorer.keys import KeyColumn, key_column, keys_in
from tokenvis.explorer.wire import Message
from tokenvis.layout.time_map import TimeMap, time_map
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.spans.columns import EPOCH, YEAR_10000, codes_of, order_of, require, times_of
from tokenvis.spans.encoding import encoded
from tokenvis.spans.fields import field_columns, field_rows, field_values
from tokenvis.spans.integers import Int64Array, difference, sums
from tokenvis.spans.losses import losses_of
from tokenvis.spans.nesting import paths_of, pieces_of
from tokenvis.spans.relations import relations_of
from tokenvis.spans.tokens import KEYS, tokens_of

FIRST_KEYS = ("agent_id", "location_id")
LONGEST_LABEL = 200  # characters of a label that cross
STATUS = ("", "ok", "error", "open")  # as in modules/model/trace.mjs
TOKENS = {"input": "input_tokens", "output": "output_tokens"}


class Answers:
    """A frame of spans, trace by trace, as a page asks for it; ``palette`` holds the colours of the key ``hue``."""

    def __init__(self, spans: pd.DataFrame, *, hue: str = "agent_id", palette: Palette = None) -> None:
        require(spans)
        self.spans = spans.copy(deep=False)  # what is done to the frame afterwards changes nothing here
        self.hue, self.palette = hue, palette
        self.rows = rows_by_trace(spans)
        self.parts: dict[str, pd.DataFrame] = {}
        self.labels: dict[str, pd.Series] = {}
        self.mappings: dict[str, TimeMap] = {}
        self.columns: dict[tuple[str, str], KeyColumn] = {}
        self.lock = threading.Lock()  # a notebook may ask in a thread of its own

    def of(self, trace: str) -> pd.DataFrame:
        """The spans of a trace, in the order of a frame."""
        if trace not in self.rows:
            raise TraceNotFound(f"No trace {quoted(trace)}. These spans have: {listed(self.rows)}.")
        if trace not in self.parts:
            rows = self.rows[trace]
            is_whole = len(rows) == len(self.spans) and bool((rows[1:] > rows[:-1]).all())
            self.parts[trace] = self.spans if is_whole else self.spans.iloc[rows]
        return self.parts[trace]

    def mapping(self, trace: str) -> TimeMap:
        """The time map of a trace, with long gaps folded."""
        if trace not in self.mappings:
            self.mappings[trace] = time_map(self.of(trace))
        return self.mappings[trace]

    def column(self, trace: str, key: str) -> KeyColumn:
        """The values of a key, with their colours; `BadOption` where there is no such key."""
        if (trace, key) not in self.columns:
            self.columns[trace, key] = key_column(self.of(trace), key, self.palette if key == self.hue else None)
        return self.columns[trace, key]

    def answer(self, what: str, trace: str, **wish: Any) -> Message:
        """The answer to a question of a page; a `TokenvisError` where there is none."""
        questions: dict[str, Callable[..., Message]] = {
            "trace": lambda spans: self.trace(trace, spans),
            "column": lambda spans, key: self.key(trace, key),
            "keys": lambda spans: Message({"keys": keys_in(spans)}),
            "facts": facts,
            "moves": moves,
            "labels": lambda spans, rows: Message({"labels": labels_at(spans, np.array(rows, dtype=np.int64))}),
            "details": lambda spans, row: Message({"details": details(spans.iloc[[row]])[0]}),
            "search": lambda spans, query: self.search(trace, query),
        }
        check_choice("what", what, questions)
        with self.lock:
            message = questions[what](self.of(trace), **wish)
        message.header["trace"] = trace
        return message

    def trace(self, trace: str, spans: pd.DataFrame) -> Message:
        """Starts, durations, agents, locations; how many were lost; the time map, with its origin in the spans' own times."""
        start, end = times_of(spans)
        mapping = self.mapping(trace)
        first = int(start[0]) if len(start) else mapping.origin
        message = Message(
            {
                "first": float(first - mapping.origin),
                "origin": float(mapping.origin),
                "lost": losses_of(spans).total,
                "clock": mapping.origin if EPOCH <= mapping.origin < YEAR_10000 else None,
                "map": {"offsets": mapping.offsets.tolist(), "places": mapping.places.tolist()},
            }
        )
        message.add("start", difference(start, np.full(len(start), first)), ascending=True)
        message.add("duration", difference(end, start))
        message.header["keys"] = {key: self.add_key(message, trace, key, column=key) for key in FIRST_KEYS}
        return message

    def key(self, trace: str, key: str) -> Message:
        """The values of a key, with their colours."""
        message = Message({"key": key})
        message.header |= self.add_key(message, trace, key, column="codes")
        return message

    def add_key(self, message: Message, trace: str, key: str, *, column: str) -> dict[str, Any]:
        """Add the codes of a key to a message; names and colours are returned."""
        values = self.column(trace, key)
        message.add(column, values.codes)
        return {"names": values.names, "colors": values.colors, "legend": values.legend, "missing": values.missing}

    def search(self, trace: str, query: str) -> Message:
        """The rows whose label has a text in it, be it in capitals or not."""
        if trace not in self.labels:
            self.labels[trace] = labels(self.of(trace)).str.lower()
        found = self.labels[trace].str.contains(query.lower(), regex=False, na=False)
        message = Message({})
        message.add("rows", np.flatnonzero(found.to_numpy(dtype=bool)), ascending=True)
        return message


def rows_by_trace(spans: pd.DataFrame) -> dict[str, Int64Array]:
    """The rows of each trace, in the order of a frame."""
    codes, labels = codes_of(spans["trace_id"])
    order = order_of(spans, "trace_id")
    first = np.searchsorted(codes[order], np.arange(1, len(labels)))
    return dict(zip(map(str, labels), np.split(order, first), strict=True)) if len(labels) else {}


def facts(spans: pd.DataFrame) -> Message:
    """Of each span, as far as any has it: time as its agent's innermost one, status, tokens counted once."""
    message = Message({"columns": []})
    if "parent_id" in spans:
        row, start, end = pieces_of(spans)
        message.add("self", sums(row, end - start, len(spans)))
    rows, values = field_values(spans, "status")
    if len(rows):
        status = np.zeros(len(spans), dtype=np.int64)
        status[rows] = [STATUS.index(value) if value in STATUS else 0 for value in values]
        message.add("status", status)
    if len(field_rows(spans, *(KEYS[name] for name in TOKENS.values()))):
        tokens = tokens_of(spans, relations_of(spans, links=False).parents(), TOKENS.values())
        for column, name in TOKENS.items():
            if tokens[name].known.any():
                message.add(column, np.where(tokens[name].counted, tokens[name].values, 0))
    return message


def moves(spans: pd.DataFrame) -> Message:
    """Moves between locations, agent by agent in order of arrival: two rows, and times where they are not the spans' own."""
    start, end = times_of(spans)
    paths = paths_of(spans)
    left = np.flatnonzero(paths.moves())
    gone, came = paths.row[left], paths.row[left + 1]
    message = Message({})
    message.add("from", gone)
    message.add("to", came)
    for name, times in {"before": end[gone] - paths.end[left], "after": paths.start[left + 1] - start[came]}.items():
        if times.any():
            message.add(name, times)
    return message


def labels(spans: pd.DataFrame, rows: Int64Array | None = None) -> pd.Series:
    """``label`` of each span, as ``str``, missing where it has none."""
    return field_columns(spans, ["label"], rows)["label"].astype("str")


def labels_at(spans: pd.DataFrame, rows: Int64Array) -> list[str]:
    """The labels of some rows, cut, "" where there is none."""
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(spans):
        raise BadOption(f"rows={quoted(rows.tolist())} are not all rows of the trace: it has {len(spans):,}.")
    return labels(spans, rows).fillna("").str.slice(0, LONGEST_LABEL).tolist()


def details(spans: pd.DataFrame) -> list[dict[str, Any]]:
    """What the details of spans show: id, label, parent, and ``data`` as JSON text."""
    try:
        texts = encoded(spans).tolist() if "data" in spans else [None] * len(spans)
        names = labels_at(spans, np.arange(len(spans)))
    except BadSpan as error:
        if len(spans) > 1:
            return [told for row in range(len(spans)) for told in details(spans.iloc[[row]])]
        texts, names = [str(error)], [""]  # in place of what is no JSON object
    parents = spans["parent_id"].tolist() if "parent_id" in spans else [None] * len(spans)
    return [
        {"id": str(span), "label": label, "data": text_or_none(text), "parent": text_or_none(parent)}
        for span, label, text, parent in zip(spans["id"].tolist(), names, texts, parents, strict=True)
    ]


def text_or_none(value: object) -> str | None:
    """A text, or None where it is missing."""
    return value if isinstance(value, str) else None
