"""Samples: spans from a simulation that records each agent's location at each step.

A run of steps at which an agent is at one location becomes one span: steps 3, 4, 5 become the span [3, 6) times ``step_us``.
A step at which the agent was not recorded, or has no location, ends the run.
"""

import warnings

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, escaped, listed, quoted
from tokenvis.spans.columns import as_spans, codes_of, in_frame_order
from tokenvis.spans.conversion.clock import (
    check_complete,
    check_step_length,
    name_values,
    refuse_large,
    values_of,
    warn_of_unit,
)
from tokenvis.spans.integers import Int64Array


def spans_from_samples(
    samples: pd.DataFrame, *, time: str, agent: str, location: str, step_us: int = 1, trace_id: str = "simulation"
) -> pd.DataFrame:
    """Convert samples (an agent's location at a step) to spans.

    Parameters
    ----------
    samples
        A row for each agent and step, in any order, such as Mesa's agent frame with its index (Step, AgentID). A row without a
        location means that the agent is nowhere.
    time, agent, location
        Names of the columns or index levels with the step (integer), the agent and the location. Agents and locations of
        other types are converted to text.
    step_us
        Length of a step in µs. With the default of 1, times are step numbers: draw them with ``time_unit="step"``.
    trace_id
        The trace of the spans.

    Returns
    -------
    DataFrame
        A frame of spans, ordered by start_time, end_time, agent_id, id; ids are "<trace_id>/<agent>/<first step>". A
        `UserWarning` tells of steps that are all multiples of a number, or dates in another unit.

    Raises
    ------
    MissingColumn
        There is no such column or index level.
    BadSpan
        A step is missing or not an integer, an agent is missing, or has two locations at one step.
    BadOption
        ``step_us`` is not a positive integer.

    Examples
    --------
    >>> import pandas as pd
    >>> samples = pd.DataFrame({"step": [0, 1, 2, 5], "who": "ann", "room": ["hall", "hall", "attic", "attic"]})
    >>> spans = spans_from_samples(samples, time="step", agent="who", location="room")
    >>> spans[["agent_id", "location_id", "start_time", "end_time"]]
      agent_id location_id  start_time  end_time
    0      ann        hall           0         2
    1      ann       attic           2         3
    2      ann       attic           5         6
    """
    check_step_length(step_us)
    if not isinstance(samples, pd.DataFrame):
        raise BadSpan(f"Samples must be a DataFrame with a row for each agent and step, not {type(samples).__name__}.")
    table = pd.DataFrame({name: name_values(samples, name, "samples") for name in (agent, location)})
    table[time] = values_of(samples, time, "samples")
    step = sample_steps(table[time])
    present = table[location].notna()
    check_complete(table[agent].where(present, ""), "samples")
    warn_of_unit(table[time], step_us, stacklevel=3)
    warn_of_spacing(time, step, step_us)
    step, table = step[present.to_numpy()], table[present]
    agent_code, agents = codes_of(table[agent])
    location_code, location_names = codes_of(table[location])
    order = np.lexsort((location_code, step, agent_code))
    step, agent_code, location_code = step[order], agent_code[order], location_code[order]
    same_agent = agent_code[1:] == agent_code[:-1]
    clash = same_agent & (step[1:] == step[:-1]) & (location_code[1:] != location_code[:-1])
    if clash.any():
        row = int(clash.argmax())
        both = listed([str(location_names[location_code[row]]), str(location_names[location_code[row + 1]])])
        raise BadSpan(f"Agent {quoted(str(agents[agent_code[row]]))} is at two locations at step {step[row]}: {both}.")
    first = np.append(True, ~same_agent | (step[1:] - step[:-1] > 1) | (location_code[1:] != location_code[:-1]))[: len(step)]
    last = np.append(first[1:], True)[: len(step)]
    check_time_range(step, step_us)
    frame = pd.DataFrame(
        {
            "trace_id": trace_id,
            "agent_id": agents[agent_code[first]].astype("str"),
            "location_id": location_names[location_code[first]].astype("str"),
            "start_time": step[first] * step_us,
            "end_time": (step[last] + 1) * step_us,
        }
    )
    frame["id"] = trace_id + "/" + frame["agent_id"] + "/" + pd.Series(step[first]).astype("str")
    spans = as_spans(frame)
    return in_frame_order(spans).reset_index(drop=True)


def sample_steps(values: pd.Series) -> Int64Array:
    """Steps as int64; `BadSpan` if one is missing or not an integer."""
    check_complete(values, "samples")
    try:
        integers = values.astype("int64")
        exact = integers == values
    except (TypeError, ValueError):
        raise BadSpan(
            f"{values.name} has type {values.dtype}, not integer steps. spans_from_events(..., event=None) takes other times: "
            "there a row lasts until the next of its agent."
        ) from None
    if not exact.all():
        raise BadSpan(f"{values.name} contains {values[~exact].iloc[0]}, which is not an integer step.")
    steps: Int64Array = np.asarray(integers, dtype=np.int64)
    return steps


def warn_of_spacing(time: str, step: Int64Array, step_us: int) -> None:
    """Warn of samples at every tenth step, say: each of them would be a span of one step."""
    steps = np.unique(step)
    spacing = int(np.gcd.reduce(steps - steps[:1]))
    if spacing > 1 and len(steps) > 2:
        warnings.warn(
            f"The steps in {escaped(time)} are {spacing} apart, but a sample lasts one step. If it lasts until the next: "
            f"divide them by {spacing}, rounded down, and pass step_us={step_us * spacing}.",
            stacklevel=3,
        )


def check_time_range(step: Int64Array, step_us: int) -> None:
    """Raise `BadSpan` if a step starts or ends outside the range of int64 microseconds."""
    for outermost in (step.min(initial=0), step.max(initial=0)):
        if not -(2**63) <= (int(outermost) + 1) * step_us < 2**63 or not int(outermost) * step_us >= -(2**63):
            refuse_large(outermost, step_us)
