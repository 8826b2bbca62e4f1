"""Answers: the data that a page requests about a frame of spans.

Each request is about one trace: its spans (``trace``), more data about them (``facts``, ``moves``, ``column``, ``labels``,
``details``), the available keys (``keys``), or the spans whose label contains a text (``search``). Spans are identified by
their row in the trace.
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
from tokenvis.spans.columns import YEAR_2000, YEAR_10000, codes_of, order_of, require, times_of, trace_names_in
from tokenvis.spans.encoding import encoded
from tokenvis.spans.fields import field_columns, field_rows, field_values
from tokenvis.spans.integers import Int64Array, difference
from tokenvis.spans.losses import losses_of
from tokenvis.tree.nesting import paths_of
from tokenvis.tree.relations import relations_of
from tokenvis.tree.states import WORK, States, states_of
from tokenvis.tree.tokens import TOKEN_KEYS, usage_of

TRACE_KEYS = ("agent_id", "location_id")  # sent with the trace
MAX_SENT_LABEL_CHARS = 200  # longer labels are truncated
STATUS_BY_CODE = ("", "ok", "error", "open")  # as in modules/model/trace.mjs
TOKEN_FACTS = {"input": "input_tokens", "output": "output_tokens"}


class Answers:
    """Answers requests about the traces of a frame of spans; ``palette`` has the colours of the key ``hue``."""

    def __init__(self, spans: pd.DataFrame, *, hue: str = "agent_id", palette: Palette = None) -> None:
        require(spans)
        self.spans = spans.copy(deep=False)  # later changes of the frame have no effect here
        self.hue, self.palette = hue, palette
        self.rows = rows_by_trace(spans)
        self.trace_names = trace_names_in(spans)
        self.spans_by_trace: dict[str, pd.DataFrame] = {}
        self.labels: dict[str, pd.Series] = {}
        self.time_maps: dict[str, TimeMap] = {}
        self.columns: dict[tuple[str, str], KeyColumn] = {}
        self.lock = threading.Lock()  # a notebook may send requests from another thread

    def traces(self) -> list[dict[str, Any]]:
        """The traces: id, number of spans, and name, if it has one."""
        names = self.trace_names
        return [
            {"id": trace, "n": len(rows), **({"name": names[trace]} if names.get(trace, trace) != trace else {})}
            for trace, rows in self.rows.items()
        ]

    def spans_of_trace(self, trace: str) -> pd.DataFrame:
        """The spans of a trace, in the order of a frame."""
        if trace not in self.rows:
            raise TraceNotFound(f"No trace {quoted(trace)}. These spans have: {listed(self.rows)}.")
        if trace not in self.spans_by_trace:
            rows = self.rows[trace]
            is_whole = len(rows) == len(self.spans) and bool((rows[1:] > rows[:-1]).all())
            self.spans_by_trace[trace] = self.spans if is_whole else self.spans.iloc[rows]
        return self.spans_by_trace[trace]

    def time_map_of(self, trace: str) -> TimeMap:
        """The time map of a trace, with long gaps folded."""
        if trace not in self.time_maps:
            self.time_maps[trace] = time_map(self.spans_of_trace(trace))
        return self.time_maps[trace]

    def column(self, trace: str, key: str) -> KeyColumn:
        """The values of a key, with their colours; `BadOption` if there is no such key."""
        if (trace, key) not in self.columns:
            self.columns[trace, key] = key_column(self.spans_of_trace(trace), key, self.palette if key == self.hue else None)
        return self.columns[trace, key]

    def answer(self, question: str, trace: str, **parameters: Any) -> Message:
        """The answer to a question of a page; `TokenvisError` if the trace, the question or a parameter is invalid."""
        questions: dict[str, Callable[..., Message]] = {
            "trace": lambda spans: self.trace_message(trace, spans),
            "column": lambda spans, key: self.key_message(trace, key),
            "keys": lambda spans: Message({"keys": keys_in(spans)}),
            "facts": facts_message,
            "moves": moves_message,
            "labels": lambda spans, rows: Message({"labels": labels_at(spans, np.array(rows, dtype=np.int64))}),
            "details": lambda spans, row: Message({"details": details(spans.iloc[[row]])[0]}),
            "search": lambda spans, query: self.search_message(trace, query),
        }
        check_choice("question", question, questions)
        with self.lock:
            message = questions[question](self.spans_of_trace(trace), **parameters)
        message.header["trace"] = trace
        return message

    def trace_message(self, trace: str, spans: pd.DataFrame) -> Message:
        """Starts, durations, agents and locations; the number of lost spans; the time map, with its origin in absolute time."""
        start, end = times_of(spans)
        mapping = self.time_map_of(trace)
        first = int(start[0]) if len(start) else mapping.origin
        message = Message(
            {
                "first": float(first - mapping.origin),
                "origin": float(mapping.origin),
                "lost": losses_of(spans).total,
                "clock": mapping.origin if YEAR_2000 <= mapping.origin < YEAR_10000 else None,
                "map": {"offsets": mapping.offsets.tolist(), "places": mapping.positions.tolist()},
            }
        )
        message.add("start", difference(start, np.full(len(start), first)), ascending=True)
        message.add("duration", difference(end, start))
        message.header["keys"] = {key: self.add_key_column(message, trace, key, column=key) for key in TRACE_KEYS}
        return message

    def key_message(self, trace: str, key: str) -> Message:
        """The values of a key, with their colours."""
        message = Message({"key": key})
        message.header |= self.add_key_column(message, trace, key, column="codes")
        return message

    def add_key_column(self, message: Message, trace: str, key: str, *, column: str) -> dict[str, Any]:
        """Add the codes of a key to a message, and return its names and colours."""
        values = self.column(trace, key)
        message.add(column, values.codes)
        return {"names": values.names, "colors": values.colors, "legend": values.legend, "missing": values.missing}

    def search_message(self, trace: str, query: str) -> Message:
        """The rows whose label contains a text, ignoring case."""
        if trace not in self.labels:
            self.labels[trace] = span_labels(self.spans_of_trace(trace)).str.lower()
        is_match = self.labels[trace].str.contains(query.lower(), regex=False, na=False)
        message = Message({})
        message.add("rows", np.flatnonzero(is_match.to_numpy(dtype=bool)), ascending=True)
        return message


def rows_by_trace(spans: pd.DataFrame) -> dict[str, Int64Array]:
    """The rows of each trace, in the order of a frame."""
    codes, labels = codes_of(spans["trace_id"])
    order = order_of(spans, "trace_id")
    boundaries = np.searchsorted(codes[order], np.arange(1, len(labels)))
    return dict(zip(map(str, labels), np.split(order, boundaries), strict=True)) if len(labels) else {}


def facts_message(spans: pd.DataFrame) -> Message:
    """Columns that at least one span has: status, tokens counted once; and the pieces of spans that do not always work."""
    message = Message({"columns": []})
    relations = relations_of(spans, links=False)
    add_pieces(message, spans, states_of(spans, relations))
    rows, values = field_values(spans, "status")
    if len(rows):
        status = np.zeros(len(spans), dtype=np.int64)
        status[rows] = [STATUS_BY_CODE.index(value) if value in STATUS_BY_CODE else 0 for value in values]
        message.add("status", status)
    if len(field_rows(spans, *(TOKEN_KEYS[name] for name in TOKEN_FACTS.values()))):
        figures = usage_of(spans, relations.parents())
        for column, name in TOKEN_FACTS.items():
            if figures[name].present.any():
                message.add(column, figures[name].counted)
    return message


def add_pieces(message: Message, spans: pd.DataFrame, states: States) -> None:
    """Add the rows of the spans that do not work for all of their time, ``cut``, and their pieces in order of start.

    A piece has the row of its span, its start in µs since the first start of the trace, its duration, and whether it waits. A
    span that its children cover completely is in ``cut``, and has no piece. All other spans are one piece of work each.
    """
    start, end = times_of(spans)
    row, work_start, work_end = states.work()
    is_cut = np.ones(len(spans), dtype=bool)
    is_cut[row[(work_start == start[row]) & (work_end == end[row])]] = False
    if not is_cut.any():
        return
    pieces = np.flatnonzero(is_cut[states.row])
    pieces = pieces[np.argsort(states.start[pieces], kind="stable")]
    piece_start = states.start[pieces]
    message.add("cut", np.flatnonzero(is_cut), ascending=True)
    message.add("piece_row", states.row[pieces])
    message.add("piece_start", difference(piece_start, np.full(len(pieces), start[0])), ascending=True)
    message.add("piece_duration", difference(states.end[pieces], piece_start))
    waits = states.state[pieces] != WORK
    if waits.any():
        message.add("piece_waits", waits.astype(np.int64))


def moves_message(spans: pd.DataFrame) -> Message:
    """Moves between locations by agent, in order of arrival: two rows, and times if they differ from the spans' own."""
    start, end = times_of(spans)
    paths = paths_of(spans)
    left = np.flatnonzero(paths.moves())
    from_row, to_row = paths.row[left], paths.row[left + 1]
    message = Message({})
    message.add("from", from_row)
    message.add("to", to_row)
    for name, times in {"before": end[from_row] - paths.end[left], "after": paths.start[left + 1] - start[to_row]}.items():
        if times.any():
            message.add(name, times)
    return message


def span_labels(spans: pd.DataFrame, rows: Int64Array | None = None) -> pd.Series:
    """``label`` of each span as ``str``, missing if it has none."""
    return field_columns(spans, ["label"], rows)["label"].astype("str")


def labels_at(spans: pd.DataFrame, rows: Int64Array) -> list[str]:
    """The labels of some rows, truncated, "" if there is none."""
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(spans):
        raise BadOption(f"rows={quoted(rows.tolist())} are out of range. Spans in the trace: {len(spans):,}.")
    return span_labels(spans, rows).fillna("").str.slice(0, MAX_SENT_LABEL_CHARS).tolist()


def details(spans: pd.DataFrame) -> list[dict[str, Any]]:
    """The details of spans: id, label, parent, and ``data`` as JSON text."""
    try:
        texts = encoded(spans).tolist() if "data" in spans else [None] * len(spans)
        names = labels_at(spans, np.arange(len(spans)))
    except BadSpan as error:
        if len(spans) > 1:
            return [span for row in range(len(spans)) for span in details(spans.iloc[[row]])]
        texts, names = [str(error)], [""]  # shown instead of data that is not a JSON object
    parents = spans["parent_id"].tolist() if "parent_id" in spans else [None] * len(spans)
    return [
        {"id": str(span), "label": label, "data": text_or_none(text), "parent": text_or_none(parent)}
        for span, label, text, parent in zip(spans["id"].tolist(), names, texts, parents, strict=True)
    ]


def text_or_none(value: object) -> str | None:
    """A text, or None if it is missing."""
    return value if isinstance(value, str) else None
