"""View state of a trace in names and times, so that it can be carried over when the trace has changed.

Rows and name codes shift as spans arrive; ids, names and times do not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, listed, quoted
from tokenvis.explorer.wire import rows_from_page
from tokenvis.spans.columns import NAMES, codes_of, times_of
from tokenvis.spans.integers import Int64Array


def full_window(spans: pd.DataFrame) -> tuple[int, int]:
    """The window that shows the whole trace."""
    start, end = times_of(spans)
    first, last = (int(start.min()), int(end.max())) if len(start) else (0, 1)
    return first, max(last, first + 1)


def agents_of(spans: pd.DataFrame) -> list[str]:
    """The agents of a trace, sorted."""
    return [str(name) for name in codes_of(spans["agent_id"])[1]]


def updated_window(window: tuple[int, int], old_spans: pd.DataFrame, spans: pd.DataFrame) -> tuple[int, int]:
    """The window after a trace has changed: the same times, unless it showed the whole trace."""
    if old_spans is spans:
        return window
    first, last = full_window(old_spans)
    return full_window(spans) if window[0] <= first and last <= window[1] else window


def updated_agents(agents: Sequence[str], old_spans: pd.DataFrame, spans: pd.DataFrame) -> list[str]:
    """The shown agents after a trace has changed: the same agents, unless all were shown."""
    if old_spans is spans:
        return list(agents)
    names = agents_of(spans)
    return names if len(agents) == len(agents_of(old_spans)) else sorted(set(agents).intersection(names))


def rows_with_ids(chosen: pd.DataFrame, spans: pd.DataFrame) -> Int64Array:
    """The rows of a trace that have the ids of some spans."""
    is_chosen = np.zeros(len(spans), dtype=bool) if not len(chosen) else spans["id"].isin(chosen["id"]).to_numpy(dtype=bool)
    return np.flatnonzero(is_chosen)


def selected_rows(chosen: pd.DataFrame, spans: pd.DataFrame, trace: str | None) -> Int64Array:
    """The rows of a trace that are these spans, or pieces; `BadSpan` if one is not in the trace."""
    rows = rows_with_ids(chosen, spans)
    columns = ["trace_id", "id", *(["piece"] if "piece" in spans and "piece" in chosen else [])]
    own = list(zip(*(spans[column].iloc[rows].tolist() for column in columns), strict=True))
    requested = set(zip(*(chosen[column].tolist() for column in columns), strict=True))
    unknown = sorted({span for _, span, *_ in requested.difference(own)}, key=str)
    if unknown:
        raise BadSpan(f"The selection contains {listed(unknown)}, which are not in trace {quoted(trace)}.")
    selected: Int64Array = rows[np.array([span in requested for span in own], dtype=bool)]
    return selected


def are_same_spans(spans: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Whether two frames have equal spans, regardless of their index and of their categories."""
    plain = [frame.astype(dict.fromkeys(NAMES, "str")).reset_index(drop=True) for frame in (spans, others)]
    return plain[0].equals(plain[1])


def updated_view(
    window: tuple[int, int], agents: Sequence[str], selection: pd.DataFrame, old_spans: pd.DataFrame, spans: pd.DataFrame
) -> dict[str, Any]:
    """The window, agents and selection after a trace has changed; the selection only if its spans have changed."""
    selected = spans.iloc[rows_with_ids(selection, spans)]
    view = {"window": updated_window(window, old_spans, spans), "agents": updated_agents(agents, old_spans, spans)}
    return view if are_same_spans(selection, selected) else {**view, "selection": selected}


def state_from_page(
    message: Mapping[str, Any], buffers: Sequence[Any], origin: int, old_spans: pd.DataFrame, spans: pd.DataFrame
) -> Any:
    """The window, agents or selection in ``spans``, from a message of a page that shows the version ``old_spans``."""
    if "window" in message:
        first, last = (origin + round(offset) for offset in message["window"])
        return updated_window((first, max(last, first + 1)), old_spans, spans)
    if "agents" in message:
        names = agents_of(old_spans)
        return updated_agents([names[code] for code in message["agents"]], old_spans, spans)
    chosen = old_spans.iloc[rows_from_page(message, buffers[0], len(old_spans))]
    return chosen if old_spans is spans else spans.iloc[rows_with_ids(chosen, spans)]
