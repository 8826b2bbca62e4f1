"""Key numbers: the size of a trace, its tokens and its cost, and how long it waits for a person, as texts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.analysis.time_spent import time_spent
from tokenvis.analysis.usage import usage
from tokenvis.errors import plural
from tokenvis.plot.artists.names import shortened_names
from tokenvis.plot.artists.style import NORMAL_SIZES
from tokenvis.plot.artists.text import text_width
from tokenvis.plot.artists.times.time_axis import TimeAxis
from tokenvis.plot.artists.title import cost_text, share_text, short_number
from tokenvis.plot.parts.page import HEADING_POINTS, DrawnTrace, Line
from tokenvis.tree.states import USER

MAX_WAITING_LOCATIONS = 3
WAITING_NAME_POINTS = 160.0  # width of a name in the line about waiting


def key_lines(totals: Mapping[Any, Any], spans: pd.DataFrame, trace: DrawnTrace, points: float) -> list[Line]:
    """The lines below the title: the key numbers, and who is waited for; ``totals`` is the row of `summary` of these spans."""
    lines = wrapped(summary_parts(totals, spans, trace.axis), points)
    return [Line("", line) for line in lines] + waiting_lines(totals, trace)


def wrapped(parts: list[str], points: float) -> list[str]:
    """The parts on one line of this width, or on two of about the same length."""
    line = " · ".join(parts)
    if text_width(line, NORMAL_SIZES.text) <= points:
        return [line]
    lengths = np.cumsum([len(part) for part in parts])
    n_first = int(np.abs(2 * lengths - lengths[-1]).argmin()) + 1
    return [" · ".join(parts[:n_first]), " · ".join(parts[n_first:])]


def summary_parts(totals: Mapping[Any, Any], spans: pd.DataFrame, axis: TimeAxis) -> list[str]:
    """The key numbers of a trace, as texts; ``totals`` is its row of `summary`."""
    parts = [plural(totals[f"n_{name}s"], name) for name in ("span", "agent", "location")]
    parallel = totals["share_parallel"]
    at_once = "" if pd.isna(parallel) else f", two or more at once for {share_text(parallel)} of it"
    parts += [f"{axis.duration(totals['wall_us'])} wall", f"{axis.duration(totals['active_us'])} active{at_once}"]
    if totals["idle_us"]:
        parts.append(f"idle for {axis.duration(totals['idle_us'])}")
    parts.append(f"peak {totals['peak']:,}")
    if totals["n_errors"]:
        parts.append(plural(totals["n_errors"], "error"))
    if totals["n_lost"]:
        parts.append(f"{plural(totals['n_lost'], 'span')} lost")
    return parts + usage_parts(spans)


def usage_parts(spans: pd.DataFrame) -> list[str]:
    """The tokens of a trace and its cost as texts, if the source gives them."""
    [used] = usage(spans, by="trace_id").to_dict("records")
    tokens = [used[name] for name in ("input_tokens", "output_tokens") if not pd.isna(used[name])]
    without = f", {plural(used['n_silent'], 'call')} without a count" if used["n_silent"] else ""
    invalid = f", {plural(used['n_invalid'], 'invalid count')} left out" if used["n_invalid"] else ""
    parts = [f"{short_number(sum(tokens))} tokens{without}{invalid}"] if tokens else []
    unpriced = f", {plural(used['n_unpriced'], 'call')} without a cost" if used["n_unpriced"] else ""
    return parts if pd.isna(used["cost"]) else [*parts, f"cost {cost_text(used['cost'])}{unpriced}"]


def waiting_lines(totals: Mapping[Any, Any], trace: DrawnTrace) -> list[Line]:
    """A line about the time for which the trace waits for a person, and at which locations; none if it never does."""
    if trace.states.marks.is_agent.all():
        return []
    at = time_spent(trace.spans, by="location_id").sort_values("person_us", ascending=False, kind="stable")
    at = at[at["person_us"] > 0]
    if not len(at):
        return []
    size, axis = NORMAL_SIZES.text, trace.axis
    shown = at.head(MAX_WAITING_LOCATIONS)
    names = shortened_names(shown["location_id"].astype(str).tolist(), WAITING_NAME_POINTS, size)
    parts = [f"{name} {axis.duration(us)}" for name, us in zip(names, shown["person_us"].tolist(), strict=True)]
    if len(at) > len(shown):
        parts.append(plural(len(at) - len(shown), "other location"))
    return [Line(waiting_text(totals, int(at["person_us"].sum()), trace), " · ".join(parts))]


def waiting_text(totals: Mapping[Any, Any], waited_us: int, trace: DrawnTrace) -> str:
    """The beginning of that line; ``waited_us`` is the sum over locations, more than the time in which nothing else works."""
    whom = f"Waiting for {person_text(trace)}"
    stopped_us, wall_us = totals["person_us"], totals["wall_us"]
    if not stopped_us:
        return f"{whom} while others work"
    of_wall = f"{trace.axis.duration(stopped_us)} ({share_text(stopped_us / wall_us)} of the wall time)"
    return f"{whom} {of_wall}" if stopped_us == waited_us else f"{whom} while nothing works: {of_wall}"


def person_text(trace: DrawnTrace) -> str:
    """Whom the trace waits for: "you" if the source says no more, else the name, or how many people."""
    marks = trace.states.marks
    names = sorted({name for name, is_agent in zip(marks.names, marks.is_agent.tolist(), strict=True) if not is_agent})
    if len(names) > 1:
        return f"{len(names):,} people"
    return "you" if names in ([], [USER]) else shortened_names(names, WAITING_NAME_POINTS, HEADING_POINTS)[0]
