"""Fleets for tests: a source in memory, and tables of spans as engines hand them over."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.fleet.rebatching import runs_of
from tokenvis.fleet.sources.source import PART_SPANS, Part, sorted_by_trace


def table_of(spans, *, parents=True, **columns):
    """Spans as an Arrow table, the rows of each trace together; ``columns`` replaces some."""
    if not parents and "parent_id" in spans:
        spans = spans.drop(columns="parent_id")
    table = sorted_by_trace(pa.Table.from_pandas(spans, preserve_index=False))
    for name, values in columns.items():
        table = table.drop_columns(name).append_column(name, values)
    return table


def plain(table):
    """A table with its categorical columns as plain texts, and a new index."""
    texts = {name: table[name].astype("str") for name, dtype in table.dtypes.items() if dtype == "category"}
    return table.assign(**texts).reset_index(drop=True)


def alone(question, spans):
    """The answers to each trace alone, as one table in the order of traces."""
    parts = [plain(question(part)) for _, part in spans.groupby("trace_id", observed=True)]
    return pd.concat(parts, ignore_index=True) if parts else plain(question(spans))


class TableSource:
    """A source of the traces of one Arrow table."""

    def __init__(self, table, n_spans=None):
        self.table = table
        self.n_spans = n_spans

    def __str__(self):
        return "a table"

    def traces(self):
        trace_ids, ends = runs_of(self.table)
        return pd.DataFrame({"id": trace_ids, "n_spans": pd.Series(ends).diff().fillna(ends[0]).astype(int)})

    def parts(self, n_spans=PART_SPANS):
        trace_ids, ends = runs_of(self.table)
        parts, first = [], 0
        for trace_id, end in zip(trace_ids, ends.tolist(), strict=True):
            if parts and parts[-1].n_spans + end - first <= (self.n_spans or n_spans):
                part = parts.pop()
                parts.append(Part([*part.trace_ids, trace_id], part.n_spans + end - first, part.place))
            else:
                parts.append(Part([trace_id], end - first, first))
            first = end
        return parts

    def read(self, part):
        return self.table.slice(part.place, part.n_spans)

    def table_of(self, trace_ids):
        return self.table.filter(pc.is_in(self.table["trace_id"].cast(pa.string()), pa.array(trace_ids)))
