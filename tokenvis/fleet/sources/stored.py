"""Stores and frames as sources of traces: what a fleet is exported from."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenvis.errors import TraceNotFound, listed, quoted
from tokenvis.fleet.sources.source import PART_SPANS, Part, bounds_of_parts
from tokenvis.spans.columns import COLUMNS, NAMES, TIMES, arrow_texts, codes_of, order_of, trace_names_in
from tokenvis.store.load import TRACE_DTYPES, frame_of, load_traces, report_faults
from tokenvis.store.store import Store


class StoreSource:
    """The traces of a store. Each is read as it is at that moment: a store may grow meanwhile."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __str__(self) -> str:
        return str(self.store.path)

    def traces(self) -> pd.DataFrame:
        """All traces, newest first."""
        return load_traces(details=True, store=self.store)

    def sizes(self) -> pd.DataFrame:
        """The columns ``id, name, n_spans`` of all traces, from the index alone."""
        return load_traces(store=self.store)[["id", "name", "n_spans"]]

    def parts(self, n_spans: int = PART_SPANS) -> list[Part]:
        """All traces that have spans, sorted by id, in parts of about ``n_spans`` spans."""
        sizes = self.sizes().sort_values("id")
        return parts_of_sizes(sizes["id"].tolist(), sizes["n_spans"].tolist(), n_spans)

    def read(self, part: Part) -> pa.Table:
        """The spans of a part."""
        return self.table_of(part.trace_ids)

    def table_of(self, trace_ids: Iterable[str]) -> pa.Table:
        """The spans of these traces, sorted by trace; `TraceNotFound` if there is none of an id."""
        wanted = sorted(set(trace_ids))
        columns = self.store.select_spans(wanted)
        if columns.faults:
            report_faults(columns.faults, self.store.path, skip_bad=False)
        if others := set(columns.names["trace_id"]).difference(wanted):  # an id that is gone is the name of another trace
            known = set(columns.names["trace_id"])
            missing = next(trace_id for trace_id in wanted if trace_id not in known)
            raise TraceNotFound(f"No trace has the id {quoted(missing)}. This store has: {listed(sorted(others))}.")
        return table_of_frame(frame_of(columns))

    def names_of(self, trace_ids: Iterable[str]) -> dict[str, str]:
        """The names of these traces."""
        traces = self.sizes()
        traces = traces[traces["id"].isin(list(trace_ids))]
        return dict(zip(traces["id"], traces["name"], strict=True))


class FrameSource:
    """The traces of a frame of spans whose names are Categorical."""

    def __init__(self, spans: pd.DataFrame) -> None:
        self.spans = spans
        code, self.labels = codes_of(spans["trace_id"])
        self.order = np.argsort(code, kind="stable")
        self.bounds = np.append(0, np.cumsum(np.bincount(code, minlength=len(self.labels))))
        names = trace_names_in(spans)
        self.names = [names.get(str(label), str(label)) for label in self.labels]

    def __str__(self) -> str:
        return "a frame of spans"

    def traces(self) -> pd.DataFrame:
        """All traces, newest first."""
        groups = self.spans.groupby("trace_id", observed=True, sort=True)
        columns = {
            "name": self.names,
            "n_spans": groups["id"].size(),
            "start_time": groups["start_time"].min(),
            "end_time": groups["end_time"].max(),
            "n_agents": groups["agent_id"].nunique(),
            "n_locations": groups["location_id"].nunique(),
        }
        table = pd.DataFrame({"id": self.labels, **{name: np.asarray(values) for name, values in columns.items()}})
        return table.sort_values(["start_time", "id"], ascending=[False, True], ignore_index=True).astype(TRACE_DTYPES)

    def sizes(self) -> pd.DataFrame:
        """The columns ``id, name, n_spans`` of all traces."""
        return pd.DataFrame({"id": self.labels, "name": self.names, "n_spans": np.diff(self.bounds)})

    def parts(self, n_spans: int = PART_SPANS) -> list[Part]:
        """All traces, sorted by id, in parts of about ``n_spans`` spans."""
        return parts_of_sizes(self.labels.tolist(), np.diff(self.bounds).tolist(), n_spans)

    def read(self, part: Part) -> pa.Table:
        """The spans of a part."""
        return self.table_of(part.trace_ids)

    def table_of(self, trace_ids: Iterable[str]) -> pa.Table:
        """The spans of these traces, sorted by trace; `TraceNotFound` if there is none of an id."""
        return table_of_frame(self.frame_of_traces(trace_ids))

    def frame_of_traces(self, trace_ids: Iterable[str]) -> pd.DataFrame:
        """The spans of these traces, as rows of the frame."""
        wanted = sorted(set(trace_ids))
        positions = self.labels.get_indexer(pd.Index(wanted, dtype=self.labels.dtype))
        if (positions < 0).any():
            missing = wanted[int((positions < 0).argmax())]
            raise TraceNotFound(f"No trace {quoted(missing)}. These spans have: {listed(self.labels)}.")
        rows = [self.order[self.bounds[position] : self.bounds[position + 1]] for position in positions.tolist()]
        return self.spans.iloc[np.concatenate(rows) if rows else []]

    def names_of(self, trace_ids: Iterable[str]) -> dict[str, str]:
        """The names of these traces."""
        names = dict(zip(self.labels.tolist(), self.names, strict=True))
        return {trace_id: names[trace_id] for trace_id in trace_ids if trace_id in names}


def parts_of_sizes(trace_ids: list[str], sizes: list[int], n_spans: int) -> list[Part]:
    """Parts of about ``n_spans`` spans of sorted traces of these sizes; a trace without spans is in no part."""
    traces = [(trace_id, size) for trace_id, size in zip(trace_ids, sizes, strict=True) if size]
    ids, counts = [trace_id for trace_id, _ in traces], [size for _, size in traces]
    return [Part(ids[begin:end], sum(counts[begin:end]), None) for begin, end in bounds_of_parts(counts, n_spans)]


def table_of_frame(spans: pd.DataFrame) -> pa.Table:
    """A frame of spans as an Arrow table, sorted by trace, then in the order of a frame."""
    spans = spans.iloc[order_of(spans, "trace_id")]
    columns: dict[str, Any] = {}
    for name in (*COLUMNS, *(["parent_id"] if "parent_id" in spans.columns else [])):
        if name in NAMES:
            columns[name] = name_array(spans[name])
        else:
            columns[name] = pa.array(spans[name].to_numpy()) if name in TIMES else arrow_texts(spans[name].array)
    return pa.table(columns)


def name_array(names: pd.Series) -> pa.Array:
    """A column of names as an Arrow dictionary of the names that occur, sorted."""
    codes, labels = codes_of(names)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(labels.array, pa.string()))
