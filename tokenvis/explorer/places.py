"""Places: what a user sees of a trace, by its own names and times, so that it can be found again when the trace has changed.

Rows and codes of names shift as spans come in; ids, names and times do not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, listed, quoted
from tokenvis.explorer.wire import rows_in
from tokenvis.spans.columns import NAMES, codes_of, times_of
from tokenvis.spans.integers import Int64Array


def whole_of(spans: pd.DataFrame) -> tuple[int, int]:
    """The window that shows all of a trace."""
    start, end = times_of(spans)
    first, last = (int(start.min()), int(end.max())) if len(start) else (0, 1)
    return first, max(last, first + 1)


def agents_of(spans: pd.DataFrame) -> list[str]:
    """The agents of a trace, sorted."""
    return [str(name) for name in codes_of(spans["agent_id"])[1]]


def window_again(window: tuple[int, int], before: pd.DataFrame, spans: pd.DataFrame) -> tuple[int, int]:
    """A window of a trace that has changed: at the same times, unless it showed all of it."""
    if before is spans:
        return window
    first, last = whole_of(before)
    return whole_of(spans) if window[0] <= first and last <= window[1] else window


def agents_again(agents: Sequence[str], before: pd.DataFrame, spans: pd.DataFrame) -> list[str]:
    """The agents that are shown of a trace that has changed: the same ones, unless all were."""
    if before is spans:
        return list(agents)
    names = agents_of(spans)
    return names if len(agents) == len(agents_of(before)) else sorted(set(agents).intersection(names))


def rows_again(chosen: pd.DataFrame, spans: pd.DataFrame) -> Int64Array:
    """The rows of a trace that have the ids of some spans."""
    there = np.zeros(len(spans), dtype=bool) if not len(chosen) else spans["id"].isin(chosen["id"]).to_numpy(dtype=bool)
    return np.flatnonzero(there)


def rows_of(chosen: pd.DataFrame, spans: pd.DataFrame, trace: str | None) -> Int64Array:
    """The rows of a trace that are these spans, or pieces; `BadSpan` where one is not in the trace."""
    rows = rows_again(chosen, spans)
    columns = ["trace_id", "id", *(["piece"] if "piece" in spans and "piece" in chosen else [])]
    own = list(zip(*(spans[column].iloc[rows].tolist() for column in columns), strict=True))
    named = set(zip(*(chosen[column].tolist() for column in columns), strict=True))
    strange = sorted({span for _, span, *_ in named.difference(own)}, key=str)
    if strange:
        raise BadSpan(f"The selection holds {listed(strange)}, which trace {quoted(trace)} does not.")
    found: Int64Array = rows[np.array([span in named for span in own], dtype=bool)]
    return found


def say_the_same(spans: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Whether two frames hold the same spans, wherever they stand in their traces, and whichever other names those have."""
    plain = [frame.astype(dict.fromkeys(NAMES, "str")).reset_index(drop=True) for frame in (spans, others)]
    return plain[0].equals(plain[1])


def place_again(
    window: tuple[int, int], agents: Sequence[str], selection: pd.DataFrame, before: pd.DataFrame, spans: pd.DataFrame
) -> dict[str, Any]:
    """The same window, agents and selection of a trace that has changed; the selection only where its spans have too."""
    selected = spans.iloc[rows_again(selection, spans)]
    place = {"window": window_again(window, before, spans), "agents": agents_again(agents, before, spans)}
    return place if say_the_same(selection, selected) else {**place, "selection": selected}


def part_said(said: Mapping[str, Any], buffers: Sequence[Any], origin: int, before: pd.DataFrame, spans: pd.DataFrame) -> Any:
    """The window, agents or selection that a page says in numbers of the trace that it shows, for the trace as it is."""
    if "window" in said:
        first, last = (origin + round(offset) for offset in said["window"])
        return window_again((first, max(last, first + 1)), before, spans)
    if "agents" in said:
        names = agents_of(before)
        return agents_again([names[code] for code in said["agents"]], before, spans)
    chosen = before.iloc[rows_in(said, buffers[0], len(before))]
    return chosen if before is spans else spans.iloc[rows_again(chosen, spans)]
