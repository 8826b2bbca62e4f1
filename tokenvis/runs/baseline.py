"""Baseline: the run with which others are compared: the first, or one by its id or name; and the names that tell runs apart."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, listed, name_list, quoted
from tokenvis.spans.columns import codes_of, times_of, trace_names_in
from tokenvis.spans.integers import Int64Array, count_ranks, lowest_of

FIRST, MEDIAN = "first", "median"


def run_order(spans: pd.DataFrame, trace: Int64Array) -> Int64Array:
    """The place of each run, by its first start (ties: by trace_id); ``trace`` is the code of each row's run (`ranks_of`)."""
    start = lowest_of(trace, times_of(spans)[0], count_ranks(trace))
    place = np.empty(len(start), dtype=np.int64)
    place[np.argsort(start, kind="stable")] = np.arange(len(start))
    return place


def runs_named(spans: pd.DataFrame, names: str | Iterable[str]) -> Int64Array:
    """The codes of the runs with these ids or names, sorted; `BadOption` for one that is none."""
    given = name_list("baseline", names)
    if not given:
        raise BadOption("baseline= names no run. Pass 'median', or an id or name.")
    return np.unique([run_named(spans, name, "neither 'median', nor ") for name in given])


def run_named(spans: pd.DataFrame, name: object, others: str) -> int:
    """The code of the run with this id, else with this name; `BadOption` if there is none, or several have the name.

    ``others`` names the other values of ``baseline=``, for the message.
    """
    ids = run_ids(spans)
    codes = [code for code, trace_id in enumerate(ids) if trace_id == name]
    if not codes:
        names = trace_names_in(spans)
        codes = [code for code, trace_id in enumerate(ids) if names.get(trace_id, trace_id) == name]
    if len(codes) == 1:
        return codes[0]
    if codes:
        raise BadOption(
            f"baseline={quoted(name)} is the name of {len(codes)} runs. Pass an id: {listed(ids[code] for code in codes)}."
        )
    raise BadOption(f"baseline={quoted(name)} is {others}the id nor the name of a run. Runs: {listed(ids)}.")


def run_ids(spans: pd.DataFrame) -> list[str]:
    """The ids of the runs, in the order of their codes (`ranks_of`)."""
    return [str(label) for label in codes_of(spans["trace_id"])[1]]


def distinct_run_names(spans: pd.DataFrame) -> list[str]:
    """The name of each run, by trace_id, no two alike: the id if there is no name, or if another run has it as name or id."""
    named, ids = trace_names_in(spans), run_ids(spans)
    names = pd.Series([name if (name := named.get(trace, "")).strip() else trace for trace in ids], dtype="str")
    own_ids = pd.Series(ids, dtype="str")
    return names.mask(names.duplicated(keep=False) | names.isin(ids), own_ids).tolist()
