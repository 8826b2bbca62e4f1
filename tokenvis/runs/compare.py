"""Compare: what changed between runs: between two in all detail, among many against the first, the median or a named one.

Agents of different runs are matched by name, or by role if names differ (`matching`). Times are the work in `self_spans`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, quoted
from tokenvis.runs.baseline import FIRST, MEDIAN, run_ids, run_named, run_order
from tokenvis.runs.matching import BY_ROLE, Match, matched
from tokenvis.runs.measures import MEASURES, UNKNOWNS, Grid, grid_of
from tokenvis.runs.pair import compare_pair
from tokenvis.spans.columns import TRACE_NAME, ranks_of, require, values_at
from tokenvis.spans.groups import by_columns
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.prices import Prices, price_lists_of

AGENT_COLUMNS = ("name_in_run", "matched_by")
ORDER_OF_EVIDENCE = ("match", "role", "name")


def compare(
    *runs: pd.DataFrame,
    by: str | Iterable[str] | None = None,
    baseline: str | None = None,
    match: Match = "agent_id",
    prices: Prices | None = None,
) -> pd.DataFrame:
    """What changed between two runs, or among any number of runs.

    Parameters
    ----------
    runs
        Two frames of spans, of one trace each, to see what changed from the first to the second; a frame may be empty. Or one
        frame with any number of traces, or several frames: each trace is a run.
    by
        For many runs: the column, or several, whose values are compared: ``"agent_id"`` (the default), ``"location_id"``,
        ``"trace_id"`` for a row per run, or another one. With it (or ``baseline``, ``prices``), two frames are compared as many
        runs are.
    baseline
        For many runs: with which run each is compared. ``"first"`` (the default): the one that starts first (of several
        frames, the first of the first frame); ``"median"``: the median over all runs (the lower one of two); or a run's id or
        name.
    match
        How agents of different runs are matched: a column, ``"agent_id"`` (names) or one with the role; a mapping from names to
        roles; a function of a name, such as ``lambda agent: agent.split("-")[0]``; or ``"role"``, if there is no such column:
        by name, and agents without a namesake in another run by what they do and when.
    prices
        For many runs: prices of calls without a cost, as in `usage`.

    Returns
    -------
    DataFrame
        For two runs: a row for each agent (or role) at each location in either trace, the largest change of busy time first
        (ties: by name):

        the column of ``match``, or ``role`` if that is a mapping, a function or "role", and ``location_id`` (category);
        ``n_before, n_after, n_change`` (int64): number of spans; ``busy_before_us, busy_after_us, busy_change_us``,
        ``active_before_us, active_after_us, active_change_us`` (int64, µs): the sum of all work, and the time in which at
        least one span works; ``tokens_before, tokens_after, tokens_change`` (Int64): input and output, each counted once as in
        `usage`, missing if there are spans but none has a token count. A change is after - before; a side without spans
        counts as 0.

        For many runs: a row for each run and each value of ``by`` that occurs in any of them, ordered by trace_id, then by:

        ``trace_id`` (category), ``trace_name`` if the frame has it; the columns of ``by``; with agent_id, ``name_in_run``
        (str): the agent's name, several joined by ", ", and ``matched_by`` (str): "name", "role" or "match", both missing if it
        does not occur in the run; ``n_spans`` (int64); ``wall_us, busy_us, waiting_us`` (int64, µs) as in `summary`;
        ``n_visits`` (int64): times that an agent came to a location; ``tokens`` (Int64), ``cost`` (Float64) as in `usage`,
        missing if not known; ``n_errors`` (int64): failed spans; ``path_us`` (int64, µs), ``share_path`` (Float64): the time of
        its spans on the critical path, and that as a share of the run's wall time (where the path has gaps that nothing
        explains, as in tables without links and parents, the time goes to what works then); for each of these the change from
        the baseline, such as ``busy_change_us`` or ``n_errors_change``; ``n_silent, n_unpriced`` (int64): calls without tokens
        or cost, because of which the sums are lower bounds. A value that does not occur in a run has 0 there.

    Raises
    ------
    MissingColumn, BadSpan
        If an argument is not a frame of spans, or lacks the column ``match`` or one of ``by``; if one of two frames has several
        traces; if several frames have the same trace; if the table would have more than twenty million rows.
    BadOption
        If there is no frame, ``match`` is of another kind, no run has the id or name ``baseline``, or ``by`` has the name of a
        column of the result.

    Examples
    --------
    >>> import pandas as pd
    >>> before = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "monday", "agent_id": ["coder-1", "coder-2"], "location_id": "desk",
    ...     "start_time": [0, 5], "end_time": [10, 20],
    ... })
    >>> after = before.iloc[:1].assign(trace_id="tuesday", end_time=30)
    >>> table = compare(before, after, match=lambda agent: agent.split("-")[0])
    >>> table[["role", "location_id", "n_change", "busy_before_us", "busy_after_us", "busy_change_us"]]
        role location_id  n_change  busy_before_us  busy_after_us  busy_change_us
    0  coder        desk        -1              25             30               5
    >>> table = compare(before, after, by="agent_id")
    >>> table[["trace_id", "agent_id", "name_in_run", "busy_us", "busy_change_us", "share_path"]]
      trace_id agent_id name_in_run  busy_us  busy_change_us  share_path
    0   monday  coder-1     coder-1       10               0        0.25
    1   monday  coder-2     coder-2       15               0        0.75
    2  tuesday  coder-1     coder-1       30              20         1.0
    3  tuesday  coder-2         NaN        0             -15         0.0
    """
    if len(runs) == 2 and by is None and baseline is None and prices is None:
        return compare_pair(*runs, match=match)
    return compare_runs(runs, by=by, baseline=baseline, match=match, prices=prices).table


@dataclass(frozen=True)
class ComparedRuns:
    """The table of `compare` for many runs, their recorded spans, and the number of the baseline: a run, by trace_id.

    ``baseline`` is None for the median of all, or if there are no runs; ``columns`` are those of ``by`` except trace_id.
    """

    table: pd.DataFrame
    spans: pd.DataFrame
    columns: list[str]
    baseline: int | None


def compare_runs(
    runs: tuple[pd.DataFrame, ...],
    *,
    by: str | Iterable[str] | None,
    baseline: str | None,
    match: Match,
    prices: Prices | None,
) -> ComparedRuns:
    """Compare frames as many runs are."""
    if not runs:
        raise BadOption("compare() needs a frame of spans: two runs, one frame with all runs, or several.")
    columns = by_columns("agent_id" if by is None else by, (*MEASURES, *map(change_name, MEASURES), *UNKNOWNS, *AGENT_COLUMNS))
    lists = price_lists_of(prices)
    spans = pooled(runs, *columns, *columns_of_match(match))
    found = matched(spans, match)
    values = [column for column in columns if column != "trace_id"]
    grid = grid_of(found.spans, values, lists)
    compared = baseline_run(spans, FIRST if baseline is None else baseline, runs[0]) if grid.n_runs else None
    return ComparedRuns(table_of_runs(found.spans, found.names, values, grid, compared), spans, values, compared)


def columns_of_match(match: Match) -> list[str]:
    """The column that ``match`` names, if it has to be in every frame."""
    return [match] if isinstance(match, str) and match != BY_ROLE else []


def pooled(runs: tuple[pd.DataFrame, ...], *columns: str) -> pd.DataFrame:
    """The recorded spans of all frames, which have these columns; `BadSpan` if two have the same trace."""
    seen: dict[str, int] = {}
    for number, frame in enumerate(runs, start=1):
        require(frame, *columns)
        for trace_id in run_ids(frame):
            if seen.setdefault(trace_id, number) != number:
                raise BadSpan(
                    f"Frames {seen[trace_id]} and {number} both have a trace {quoted(trace_id)}. "
                    "Give one another id: frame.assign(trace_id=...)."
                )
    recorded = [recorded_spans(frame) for frame in runs]
    return recorded[0] if len(runs) == 1 else pd.concat(recorded, ignore_index=True)


def change_name(measure: str) -> str:
    """The name of the column with the change of a measure."""
    return f"{measure.removesuffix('_us')}_change_us" if measure.endswith("_us") else f"{measure}_change"


def table_of_runs(
    spans: pd.DataFrame, names: pd.DataFrame, columns: list[str], grid: Grid, baseline: int | None
) -> pd.DataFrame:
    """The table of `compare` for many runs; ``names`` are those of `matched`."""
    trace = ranks_of(spans["trace_id"])
    rows = np.unique(trace, return_index=True)[1]
    run, value = np.repeat(np.arange(grid.n_runs), len(grid.first)), np.tile(np.arange(len(grid.first)), grid.n_runs)
    table = {name: values_at(spans, name, rows[run]) for name in ("trace_id", TRACE_NAME) if name in spans.columns}
    table |= {name: values_at(spans, name, grid.first[value]) for name in columns}
    if "agent_id" in columns:
        table |= names_in_runs(pd.DataFrame(table), names)
    usual = baseline_measures(grid, baseline)
    for name in MEASURES:
        table[name] = grid.measures[name]
        table[change_name(name)] = grid.measures[name] - usual[name].iloc[value].reset_index(drop=True)
    return pd.DataFrame(table | {name: grid.measures[name] for name in UNKNOWNS})


def baseline_measures(grid: Grid, baseline: int | None) -> dict[str, pd.Series]:
    """The measures with which all runs are compared, of each value."""
    if not grid.n_runs:
        return {name: grid.measures[name] for name in MEASURES}
    return {name: grid.median(name) if baseline is None else grid.at(name, baseline) for name in MEASURES}


def baseline_run(spans: pd.DataFrame, baseline: str, first: pd.DataFrame) -> int | None:
    """The run with which all runs are compared, None for the median of all."""
    if baseline == MEDIAN:
        return None
    return first_run(spans, first) if baseline == FIRST else run_named(spans, baseline, "neither 'first', nor 'median', nor ")


def first_run(spans: pd.DataFrame, first: pd.DataFrame) -> int:
    """The run of the first frame that starts first; of all, if that has none."""
    place = run_order(spans, ranks_of(spans["trace_id"]))
    in_first = np.isin(run_ids(spans), run_ids(first))
    return int(np.argmin(np.where(in_first, place, place + len(place))))


def names_in_runs(rows: pd.DataFrame, names: pd.DataFrame) -> dict[str, Any]:
    """For each row, the names that its agent has in its run, and how they were matched; missing if there is none."""
    texts = names.assign(agent_id=names["agent_id"].astype("str"), trace_id=names["trace_id"].astype("str"))
    by_agent = texts.groupby(["trace_id", "agent_id"], dropna=False, sort=False)
    joined = by_agent["name_in_run"].agg(", ".join)
    how = by_agent["matched_by"].agg(lambda values: next(each for each in ORDER_OF_EVIDENCE if each in set(values)))
    wanted = pd.MultiIndex.from_arrays([rows[name].astype("str") for name in ("trace_id", "agent_id")])
    return {
        name: pd.array(column.reindex(wanted).to_numpy(dtype=object), dtype="str")
        for name, column in zip(AGENT_COLUMNS, (joined, how), strict=True)
    }
