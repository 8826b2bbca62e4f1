"""Relations: which span is meant where another names it, as its parent or in its links.

An id is looked up within its own trace. A parent that is not there is none, and so is one that is its own ancestor. Names are
numbered by one pass over the texts, unsorted; everything after is arithmetic on these numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, check_choice, name_list, quoted
from tokenvis.spans.columns import codes_of, parent_names
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import Int64Array, Mask, opens_run, packed
from tokenvis.spans.text import text_column

NO_ROW = -1
NO_NAMES = (np.empty(0, dtype=np.int64), pd.Series(dtype="str"))
EVIDENCE = ("link", "parent", "location")


def identities(
    spans: pd.DataFrame, named: pd.Series = NO_NAMES[1], by: Int64Array = NO_NAMES[0]
) -> tuple[Int64Array, Int64Array]:
    """A number for each span's (trace, id), and the number that each name means in the trace of the row that says it, or -1.

    ``by`` is the row that says it. Numbers run from 0 without a gap; rows of one trace with the same id have the same one.
    """
    texts = pd.concat([spans["id"].astype("str"), named.astype("str")], ignore_index=True)
    codes, trace = pd.factorize(texts)[0].astype(np.int64, copy=False), codes_of(spans["trace_id"])[0]
    own, meant = codes[: len(spans)], codes[len(spans) :]
    n_ids = int(own.max(initial=-1)) + 1
    meant[meant >= n_ids] = NO_ROW
    if n_ids < len(own):  # an id stands in several traces, or twice in one
        return numbers_within_traces(own, meant, trace, by, n_ids)
    trace_of = np.full(n_ids + 1, NO_ROW, dtype=np.int64)
    trace_of[own] = trace
    meant[trace_of[meant] != trace[by]] = NO_ROW
    return own, meant


def numbers_within_traces(
    own: Int64Array, meant: Int64Array, trace: Int64Array, by: Int64Array, n_ids: int
) -> tuple[Int64Array, Int64Array]:
    """Numbers for pairs of a trace and an id."""
    distinct, numbers = np.unique(trace * n_ids + own, return_inverse=True)
    asked = np.where(meant < 0, NO_ROW, trace[by] * n_ids + meant)
    place = np.minimum(np.searchsorted(distinct, asked), len(distinct) - 1)
    return numbers.reshape(-1), np.where(distinct[place] == asked, place, NO_ROW)


@dataclass(frozen=True)
class Relations:
    """What the spans of a frame name, as numbers of spans, or -1; by rows only where each span stands in one."""

    spans: pd.DataFrame
    own: Int64Array  # the number of each row's own span: rows of one trace with the same id have the same one
    parent: Int64Array  # of each row's parent; of a span that is its own ancestor, -1
    cyclic: Mask  # the rows that are their own ancestors
    by: Int64Array  # the row that says each link
    link: Int64Array  # the number of the span that it names

    def parents(self) -> Int64Array:
        """The row of each span's parent, or -1; `BadSpan` where an id stands in two rows of a trace."""
        return self.rows()[self.parent] if (self.parent >= 0).any() else self.parent

    def links(self) -> tuple[Int64Array, Int64Array]:
        """Links as pairs of rows, each once: (the span that is named, the one that names it); `BadSpan` as in `parents`."""
        by = self.by[self.link >= 0]
        if not len(by):
            return by, by
        source = self.rows()[self.link[self.link >= 0]]
        pair = packed(by, source)
        assert pair is not None, "two rows fit into 63 bits"
        order = np.argsort(pair, kind="stable")
        order = order[opens_run(pair[order])]
        return source[order], by[order]

    def rows(self) -> Int64Array:
        """The row of each number, with -1 at the end, where the number -1 finds it."""
        row = np.full(int(self.own.max(initial=-1)) + 2, NO_ROW, dtype=np.int64)
        row[self.own] = np.arange(len(self.own))
        twice = np.flatnonzero(row[self.own] != np.arange(len(self.own)))
        if len(twice):
            span, trace = (quoted(str(self.spans[column].iloc[int(twice[0])])) for column in ("id", "trace_id"))
            raise BadSpan(
                f"Span {span} stands in several rows of trace {trace}. Give each span once, and whole: no pieces of it."
            )
        return row


def relations_of(spans: pd.DataFrame, *, parents: bool = True, links: bool = True) -> Relations:
    """What the spans name as their parents and in their links; where they name nothing, every row is a span of its own."""
    child, above = named_parents(spans) if parents else NO_NAMES
    by, link = links_in(spans) if links else NO_NAMES
    own, meant = np.arange(len(spans)), np.empty(0, dtype=np.int64)
    if len(child) or len(by):
        own, meant = identities(spans, pd.concat([above, link], ignore_index=True), np.concatenate([child, by]))
    parent = np.full(len(spans), NO_ROW, dtype=np.int64)
    parent[child] = meant[: len(child)]
    circle = cyclic(own, parent)
    parent[circle] = NO_ROW
    return Relations(spans, own, parent, circle, by, meant[len(child) :])


def named_parents(spans: pd.DataFrame) -> tuple[Int64Array, pd.Series]:
    """The rows that name a parent, and its id."""
    if "parent_id" not in spans.columns:
        return NO_NAMES
    child = np.flatnonzero(spans["parent_id"].notna().to_numpy())
    return child, parent_names(spans["parent_id"].iloc[child])


def cyclic(own: Int64Array, parent: Int64Array) -> Mask:
    """Mark the spans that are their own ancestors: after enough doublings, every step stands on a cycle or on nothing."""
    nowhere = int(own.max(initial=-1)) + 1
    step = np.full(nowhere + 1, nowhere, dtype=np.int64)
    step[own[parent >= 0]] = parent[parent >= 0]
    for _ in range(nowhere.bit_length()):
        if (step == nowhere).all():
            break
        step = step[step]
    on_cycle = np.zeros(nowhere + 1, dtype=bool)
    on_cycle[step] = True
    on_cycle[nowhere] = False
    marked: Mask = on_cycle[own]
    return marked


def have_descendant(parent: Int64Array, marked: Mask) -> Mask:
    """Rows below which a marked row stands, at any depth; each doubling reaches twice as far up."""
    below = np.append(np.zeros(len(parent), dtype=bool), False)
    step, at = np.append(parent, NO_ROW), np.append(marked, False)
    below[step[at]] = True
    while (step >= 0).any():
        below[step[below]] = True
        step = step[step]
    found: Mask = below[:-1]
    return found


def have_ancestor(parent: Int64Array, marked: Mask) -> Mask:
    """Rows above which a marked row stands, at any height."""
    step = np.append(parent, NO_ROW)
    above = np.append(marked, False)[step]
    while (step >= 0).any():
        above |= above[step]
        step = step[step]
    found: Mask = above[:-1]
    return found


def nearest_marked(parent: Int64Array, marked: Mask) -> Int64Array:
    """The row itself where it is marked, else of its nearest ancestor that is, or -1; each doubling reaches twice as far up."""
    step = np.append(np.where(marked, np.arange(len(parent)), parent), NO_ROW)
    for _ in range(len(parent).bit_length() + 1):  # who is only above itself is never done
        further = step[step]
        if (further == step).all():
            break
        step = further
    return np.where(np.append(marked, False)[step[:-1]], step[:-1], NO_ROW)


def evidence_of(evidence: str | Iterable[str]) -> set[str]:
    """The kinds of evidence that were asked for; `BadOption` where one is none of the choices."""
    kinds = name_list("evidence", evidence)
    for kind in kinds:
        check_choice("evidence", kind, EVIDENCE)
    return set(kinds)


def links_in(spans: pd.DataFrame) -> tuple[Int64Array, pd.Series]:
    """The rows that have ``links``, a row for each link, and the ids that these name."""
    rows, values = field_values(spans, "links")
    links = [value if isinstance(value, list) else [value] for value in values]
    named = [link if isinstance(link, str) else str(link) for every in links for link in every]
    return np.repeat(rows, [len(every) for every in links]), text_column(named, pd.RangeIndex(len(named)))
