"""Requests: the model call that asked for each tool call, by the id of the call in the model's answer.

Spans of a trace may be read in any order, so requests are resolved once all are read. An id counts within its trace, but some
sources number the calls of each answer, so that two agents have one id at once, and some answers contain the whole
conversation. Of the model calls that have the id and start before the call, those of its own agent count, else those of the
nearest agent above it, else the only one. Of these, it is the one whose common ancestor with the call is the nearest; of
those, the last to start. A span inside a span with the same id is a part of that call.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.spans.integers import Int64Array, Mask, rank_in, run_starts, sort_order
from tokenvis.tree.relations import NO_ROW, cyclic, nearest_marked

MAX_LEVELS = 32  # above a call or a model call, for the agents and the common ancestors


@dataclass(frozen=True)
class Asking:
    """Spans that ask for a call, or make one: the row, the number of the call's id within the trace, the agent, the start."""

    row: Int64Array
    call: Int64Array
    agent: Int64Array
    start: Int64Array

    def take(self, positions: Int64Array | Mask) -> "Asking":
        """The spans at these positions."""
        return Asking(self.row[positions], self.call[positions], self.agent[positions], self.start[positions])


def requesting_spans(
    spans: pa.Table, answers: pa.Table, winner: Int64Array, parent: Int64Array, agents: Any
) -> tuple[Int64Array, list[str]]:
    """The rows of calls that a model call asked for, in order, and the id of that model call's span for each.

    ``spans`` has the ``call`` that each row made, and its ``id``, ``trace`` and ``start_time``; ``answers`` has the ``row`` of
    a model call and a ``call`` that its answer asks for; ``winner`` is the row that counts for each row's span, and the
    others are ignored; ``parent`` is the row of each row's parent, or -1; ``agents`` are the names of their agents.
    """
    kept = winner == np.arange(len(winner))
    made = spans["call"].is_valid().to_numpy() & kept
    answers = answers.filter(pa.array(kept[answers["row"].to_numpy()]))
    if not made.any() or not len(answers):
        return np.empty(0, dtype=np.int64), []
    texts = pa.concat_arrays([spans["call"].combine_chunks(), answers["call"].combine_chunks()])
    codes = pc.fill_null(texts.dictionary_encode().indices, NO_ROW).to_numpy().astype(np.int64)
    call, asked_for = codes[: len(spans)], codes[len(spans) :]
    parent = np.where(cyclic(np.arange(len(parent)), parent), NO_ROW, parent)
    made_rows = np.flatnonzero(made & ~parts_of_calls(np.where(made, call, NO_ROW), parent))
    trace, start = spans["trace"].to_numpy().astype(np.int64), spans["start_time"].to_numpy()
    agent = pd.factorize(agents)[0].astype(np.int64)
    n_calls = int(codes.max()) + 1
    model = answers["row"].to_numpy()
    within = np.append(trace[model] * n_calls + asked_for, trace[made_rows] * n_calls + call[made_rows])
    within = np.unique(within, return_inverse=True)[1].reshape(-1).astype(np.int64)
    models = Asking(model, within[: len(model)], agent[model], start[model])
    calls = Asking(made_rows, within[len(model) :], agent[made_rows], start[made_rows])
    asked_by = asking_rows(models, calls, np.append(parent, NO_ROW), agent)
    found = asked_by != NO_ROW
    return made_rows[found], spans["id"].take(pa.array(asked_by[found])).to_pylist()


def asking_rows(models: Asking, calls: Asking, parent: Int64Array, agent: Int64Array) -> Int64Array:
    """The row of the model call that asked for each call, or -1; ``parent`` has a further row, of no span."""
    order = sort_order(models.call, models.row)
    models = models.take(order[run_starts(models.call[order], models.row[order])])
    asked_by, left = np.full(len(calls.row), NO_ROW), np.arange(len(calls.row))
    has_candidates = np.isin(calls.call, models.call)
    left, above, agent = left[has_candidates], calls.row[has_candidates], np.append(agent, NO_ROW)
    for _ in range(MAX_LEVELS):
        if not len(left):
            break
        ask = Asking(calls.row[left], calls.call[left], agent[above], calls.start[left])
        asked_by[left] = nearest_rows(models, ask, parent)
        is_open = (asked_by[left] == NO_ROW) & (parent[above] != NO_ROW)
        left, above = left[is_open], parent[above[is_open]]
    left = np.flatnonzero(asked_by == NO_ROW)
    asked_by[left] = only_rows(models, calls.take(left))
    return asked_by


def nearest_rows(models: Asking, calls: Asking, parent: Int64Array) -> Int64Array:
    """The row of the model call of the given agent for each call: by the nearest common ancestor, then the latest start."""
    n_agents = len(parent)  # at most
    keys = np.append(models.call, calls.call) * n_agents + np.append(models.agent, calls.agent)
    keys = np.unique(keys, return_inverse=True)[1].reshape(-1).astype(np.int64)
    key, wanted = keys[: len(models.row)], keys[len(models.row) :]
    asked_by, n_candidates = latest_rows(key, models, wanted, calls.start)
    several = np.flatnonzero(n_candidates > 1)
    if not len(several):
        return asked_by
    is_wanted = np.isin(key, wanted[several])
    models, key = models.take(is_wanted), key[is_wanted]
    position, ancestor = ancestors_of(models.row, parent)
    models, group = models.take(position), key[position] * len(parent) + ancestor
    above = calls.row[several]
    for _ in range(MAX_LEVELS):
        found, _ = latest_rows(group, models, wanted[several] * len(parent) + above, calls.start[several])
        asked_by[several[found != NO_ROW]] = found[found != NO_ROW]
        is_open = (found == NO_ROW) & (parent[above] != NO_ROW)
        several, above = several[is_open], parent[above[is_open]]
        if not len(several):
            break
    return asked_by


def ancestors_of(rows: Int64Array, parent: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Each of the rows and its ancestors, as positions in ``rows`` and rows."""
    levels, position, ancestor = [], np.arange(len(rows)), rows
    for _ in range(MAX_LEVELS):
        levels.append((position, ancestor))
        has_parent = parent[ancestor] != NO_ROW
        position, ancestor = position[has_parent], parent[ancestor[has_parent]]
        if not len(position):
            break
    positions, ancestors = (np.concatenate(column) for column in zip(*levels, strict=True))
    return positions, ancestors


def latest_rows(group: Int64Array, models: Asking, wanted: Int64Array, start: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The row of the last model call of a group to start up to each time, or -1, and how many do."""
    order = sort_order(group, models.start, models.row)
    group, row, starts = group[order], models.row[order], models.start[order]
    after = rank_in(group, starts, wanted, start, side="right")
    count = after - np.searchsorted(group, wanted)
    return np.where(count > 0, np.append(row, NO_ROW)[after - 1], NO_ROW), count


def only_rows(models: Asking, calls: Asking) -> Int64Array:
    """The row of the only model call that may have asked for each call, or -1 if there are several or none."""
    row, count = latest_rows(models.call, models, calls.call, calls.start)
    return np.where(count == 1, row, NO_ROW)


def parts_of_calls(call: Int64Array, parent: Int64Array) -> Mask:
    """Mark the rows whose nearest ancestor that made a call made the same one; ``call`` is the code of each row's, or -1."""
    made = call != NO_ROW
    if np.bincount(call[made], minlength=1).max() == 1:
        return np.zeros(len(call), dtype=bool)
    above = np.append(nearest_marked(parent, made), NO_ROW)[parent]
    marked: Mask = made & (above != NO_ROW) & (call[above] == call)
    return marked
