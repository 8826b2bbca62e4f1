"""Relations: resolves the ids of parents, links and requests to spans.

An id is looked up within its trace. A parent that is not in the frame is ignored, and so is the parent of a span that is its
own ancestor. A request is a link within an agent: it leads from a model call to a call that the model asked for, which has it
in ``requested_by``. Ids are numbered in one pass over the texts, unsorted; everything after is integer arithmetic.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, check_choice, name_list, quoted
from tokenvis.spans.columns import numbers_of_texts, parent_ids, ranks_of
from tokenvis.spans.fields import field_values, has_column
from tokenvis.spans.integers import INT64_MIN, Int64Array, Mask, packed, run_starts
from tokenvis.spans.parents import check_parents
from tokenvis.spans.text import text_column
from tokenvis.spans.text_lists import text_lists_in

NO_ROW = -1
NO_REFERENCES = (np.empty(0, dtype=np.int64), pd.Series(dtype="str"))
EVIDENCE_KINDS = ("link", "parent", "location")


def identities(
    spans: pd.DataFrame, references: Iterable[pd.Series] = (), source: Int64Array = NO_REFERENCES[0]
) -> tuple[Int64Array, Int64Array]:
    """A number for each row's (trace, id), and the number of the span that each reference resolves to, or -1.

    ``references`` are columns of ids, ``source`` is the row of each reference; it is resolved in that row's trace. Numbers run
    from 0 without gaps; rows of one trace with the same id share a number.
    """
    codes, trace = numbers_of_texts(spans["id"], *references), ranks_of(spans["trace_id"])
    identity, target = codes[: len(spans)], codes[len(spans) :]
    n_ids = int(identity.max(initial=-1)) + 1
    target[target >= n_ids] = NO_ROW
    if n_ids < len(identity):  # an id is in several traces, or twice in one
        return numbers_within_traces(identity, target, trace, source, n_ids)
    trace_of = np.full(n_ids + 1, NO_ROW, dtype=np.int64)
    trace_of[identity] = trace
    target[trace_of[target] != trace[source]] = NO_ROW
    return identity, target


def numbers_within_traces(
    identity: Int64Array, target: Int64Array, trace: Int64Array, source: Int64Array, n_ids: int
) -> tuple[Int64Array, Int64Array]:
    """The result of `identities` from numbers of ids that are not unique across traces."""
    distinct, identities_in_traces = np.unique(trace * n_ids + identity, return_inverse=True)
    wanted = np.where(target < 0, NO_ROW, trace[source] * n_ids + target)
    position = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
    return identities_in_traces.reshape(-1), np.where(distinct[position] == wanted, position, NO_ROW)


@dataclass(frozen=True)
class Relations:
    """The parents, links and requests of a frame's spans, as identities, or -1; as rows only if each span has one row."""

    spans: pd.DataFrame
    identity: Int64Array  # the number of each row's span: rows of one trace with the same id share a number
    parent: Int64Array  # identity of each row's parent; -1 for a span that is its own ancestor
    cyclic: Mask  # the rows that are their own ancestors
    link_row: Int64Array  # the row that has each link
    link_target: Int64Array  # the identity of the linked span
    request_row: Int64Array  # the row that has each request
    request_target: Int64Array  # the identity of the span that asked for it
    has_references: bool  # if False, each row has a different identity

    def by_identity(self, values: np.ndarray[tuple[int], np.dtype[Any]]) -> np.ndarray[tuple[int], np.dtype[Any]]:
        """The value of each identity, the highest of its rows, plus a last element for the index -1: -1, or False."""
        missing = False if values.dtype == bool else NO_ROW
        n_ids = int(self.identity.max(initial=-1)) + 1
        if n_ids == len(values):
            result = np.empty(n_ids + 1, dtype=values.dtype)
            result[self.identity] = values
        else:
            result = np.full(n_ids + 1, missing if values.dtype == bool else INT64_MIN, dtype=values.dtype)
            np.maximum.at(result, self.identity, values)
        result[-1] = missing
        return result

    def parents(self) -> Int64Array:
        """The row of each span's parent, or -1; `BadSpan` if an id is in two rows of a trace."""
        return self.rows()[self.parent] if (self.parent >= 0).any() else self.parent

    def links(self) -> tuple[Int64Array, Int64Array]:
        """Links as distinct pairs of rows: (the linked span, the span with the link); `BadSpan` as in `parents`."""
        return self.pairs(self.link_row, self.link_target)

    def requests(self) -> tuple[Int64Array, Int64Array]:
        """Requests as distinct pairs of rows: (the model call, the call that it asked for); `BadSpan` as in `parents`."""
        asked_by, call = self.pairs(self.request_row, self.request_target)
        return asked_by[asked_by != call], call[asked_by != call]

    def pairs(self, row: Int64Array, target: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Distinct pairs of rows, (the span that is named, the span that names it), ordered by the latter."""
        naming = row[target >= 0]
        if not len(naming):
            return naming, naming
        named = self.rows()[target[target >= 0]]
        pair = packed(naming, named)
        assert pair is not None, "two rows fit into 63 bits"
        order = np.argsort(pair, kind="stable")
        order = order[run_starts(pair[order])]
        return named[order], naming[order]

    def rows(self) -> Int64Array:
        """The row of each identity, plus a last element -1, so that the index -1 returns -1."""
        row = np.full(int(self.identity.max(initial=-1)) + 2, NO_ROW, dtype=np.int64)
        row[self.identity] = np.arange(len(self.identity))
        duplicates = np.flatnonzero(row[self.identity] != np.arange(len(self.identity)))
        if len(duplicates):
            span, trace = (quoted(str(self.spans[column].iloc[int(duplicates[0])])) for column in ("id", "trace_id"))
            raise BadSpan(
                f"Span {span} is in several rows of trace {trace}. Pass each span once, uncut: not the pieces of self_spans()."
            )
        return row


def relations_of(spans: pd.DataFrame, *, parents: bool = True, links: bool = True, requests: bool | None = None) -> Relations:
    """The parents, links and requests of the spans; if there are none, each row has a different identity.

    Requests are read with the links, unless ``requests`` says otherwise.
    """
    child, parent_id = parent_references(spans) if parents else NO_REFERENCES
    source, link_id = references_in(spans, "links") if links else NO_REFERENCES
    call, request_id = references_in(spans, "requested_by") if (links if requests is None else requests) else NO_REFERENCES
    naming, identity, target = np.concatenate([child, source, call]), np.arange(len(spans)), np.empty(0, dtype=np.int64)
    if len(naming):
        identity, target = identities(spans, (parent_id, link_id, request_id), naming)
    parent = np.full(len(spans), NO_ROW, dtype=np.int64)
    parent[child], link, request = np.split(target, [len(child), len(child) + len(source)])
    in_cycle = cyclic(identity, parent) if (parent != NO_ROW).any() else np.zeros(len(spans), dtype=bool)
    parent[in_cycle] = NO_ROW
    return Relations(spans, identity, parent, in_cycle, source, link, call, request, bool(len(naming)))


def requests_in(spans: pd.DataFrame, relations: Relations | None = None) -> tuple[Int64Array, Int64Array]:
    """The rows of the calls that a model asked for, and for each the row of a model call that did, ordered by the calls.

    ``relations`` are those of the spans, with requests. A call has a pair for each id in ``requested_by`` that is the id of
    another span of the trace. `BadSpan` if an id is in two rows of a trace.
    """
    relations = relations_of(spans, parents=False, links=False, requests=True) if relations is None else relations
    asked_by, call = relations.requests()
    return call, asked_by


def parent_references(spans: pd.DataFrame) -> tuple[Int64Array, pd.Series]:
    """The rows that have a parent_id, and these ids; `MissingColumn` if only ``data`` has parents."""
    if "parent_id" not in spans.columns:
        check_parents(spans)
        return NO_REFERENCES
    parents = spans["parent_id"]
    child = np.flatnonzero(~parents.array.isna())
    return child, parent_ids(parents.iloc[child], spans)


def cyclic(identity: Int64Array, parent: Int64Array) -> Mask:
    """Mark the rows whose span is its own ancestor: after enough pointer doublings, the others point past a root."""
    past_root = int(identity.max(initial=-1)) + 1
    ancestor = np.full(past_root + 1, past_root, dtype=np.int64)
    ancestor[identity[parent >= 0]] = parent[parent >= 0]
    for _ in range(past_root.bit_length()):
        if (ancestor == past_root).all():
            break
        ancestor = ancestor[ancestor]
    on_cycle = np.zeros(past_root + 1, dtype=bool)
    on_cycle[ancestor] = True
    on_cycle[past_root] = False
    marked: Mask = on_cycle[identity]
    return marked


def have_descendant(parent: Int64Array, marked: Mask) -> Mask:
    """Rows with a marked descendant at any depth, by pointer doubling: each step reaches twice as far up."""
    found = np.append(np.zeros(len(parent), dtype=bool), False)
    ancestor, start = np.append(parent, NO_ROW), np.append(marked, False)
    found[ancestor[start]] = True
    while (ancestor >= 0).any():
        found[ancestor[found]] = True
        ancestor = ancestor[ancestor]
    result: Mask = found[:-1]
    return result


def have_ancestor(parent: Int64Array, marked: Mask) -> Mask:
    """Rows with a marked ancestor at any height."""
    ancestor = np.append(parent, NO_ROW)
    found = np.append(marked, False)[ancestor]
    while (ancestor >= 0).any():
        found |= found[ancestor]
        ancestor = ancestor[ancestor]
    result: Mask = found[:-1]
    return result


def depths(parent: Int64Array) -> Int64Array:
    """The number of ancestors of each row, by pointer doubling."""
    ancestor = np.append(parent, NO_ROW)
    depth = (ancestor != NO_ROW).astype(np.int64)
    while (ancestor != NO_ROW).any():
        depth += depth[ancestor]
        ancestor = ancestor[ancestor]
    result: Int64Array = depth[:-1]
    return result


def nearest_marked(parent: Int64Array, marked: Mask) -> Int64Array:
    """The row of each row's nearest marked ancestor, or of itself if marked, else -1; by pointer doubling."""
    ancestor = np.append(np.where(marked, np.arange(len(parent)), parent), NO_ROW)
    for _ in range(len(parent).bit_length() + 1):  # bounded, because pointers on a cycle never settle
        further = ancestor[ancestor]
        if (further == ancestor).all():
            break
        ancestor = further
    return np.where(np.append(marked, False)[ancestor[:-1]], ancestor[:-1], NO_ROW)


def evidence_of(evidence: str | Iterable[str]) -> set[str]:
    """The requested kinds of evidence; `BadOption` if one is not a valid choice."""
    kinds = name_list("evidence", evidence)
    for kind in kinds:
        check_choice("evidence", kind, EVIDENCE_KINDS)
    return set(kinds)


def reference_text(value: object) -> str:
    """An id that is not a text as one: a column of integers with missing values has whole floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def references_in(spans: pd.DataFrame, name: str) -> tuple[Int64Array, pd.Series]:
    """The row of each id in a field with one id or several, ``links`` or ``requested_by``, and the id."""
    lists = None if has_column(spans, name) else text_lists_in(spans, name)
    if lists is not None:
        return lists
    rows, values = field_values(spans, name)
    in_rows = [value if isinstance(value, list) else [value] for value in values]
    ids = [value if isinstance(value, str) else reference_text(value) for in_row in in_rows for value in in_row]
    return np.repeat(rows, [len(in_row) for in_row in in_rows]), text_column(ids, pd.RangeIndex(len(ids)))
