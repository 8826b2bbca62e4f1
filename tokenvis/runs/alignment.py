"""Alignment: what one run did that another did not, step by step.

A step is a span, and a run is its steps in order of start. Steps of two runs are matched in order, so that as few as possible
are in one run only (the Indel distance): a step costs 1 if it has no counterpart, and nothing else costs anything.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, TokenvisError, check_choice, quoted
from tokenvis.runs.matching import Match
from tokenvis.runs.steps.run_steps import RunSteps, run_steps_of
from tokenvis.runs.steps.step_differences import step_differences, with_divergence
from tokenvis.runs.steps.step_pairs import NO_STEP, StepPairs, sequences_of, step_pairs, with_counterparts
from tokenvis.spans.columns import NAMES, as_categorical, ids_at, times_of
from tokenvis.spans.groups import by_columns, groups_of
from tokenvis.spans.integers import Int64Array, Mask, count_ranks, difference

StepOrder: TypeAlias = Literal["run", "agent"]

STEP_ORDERS = ("run", "agent")
STEP_KINDS = ("same", "changed", "only in a", "only in b")
TIMES_OF_STEPS = ("start_a", "start_b", "duration_a_us", "duration_b_us", "duration_change_us")
RESULT_COLUMNS = ("step", "difference", "id_a", "id_b", "instead", *TIMES_OF_STEPS, "first_divergence")


def alignment(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    by: str | Iterable[str] = ("agent_id", "location_id", "label"),
    order: StepOrder = "run",
    match: Match = "role",
    ratio: float = 2.0,
) -> pd.DataFrame:
    """The steps of two runs, matched in order: which are the same, which changed, and where the runs part.

    The number of steps that only one run has is the lowest possible. It needs the extra ``tokenvis[alignment]``.

    Parameters
    ----------
    a, b
        Two frames of spans, of one trace each; a frame may be empty.
    by
        What makes two spans the same step: columns, or keys of ``data``. A missing value is a value of its own.
    order
        ``"run"``: all steps of a run are one sequence, in order of start. ``"agent"``: the steps of each agent are matched by
        themselves, so it is no difference that agents which run at once alternate in another way, by chance; ``agent_id`` is
        then part of ``by``.
    match
        How agents of the two runs are matched: ``"agent_id"`` (by name), another column, a dict or a function from names to
        roles, or ``"role"``, unless that is a column: by name, and those without a namesake by what they do and when.
    ratio
        A step is slower or faster if its durations differ by more than this factor; at least 1.

    Returns
    -------
    DataFrame
        A row for each step, in order. Steps of both runs and of ``a`` are in the order of ``a``; a step of ``b`` alone stands
        before the next step of ``b`` that both have, as far as the order of its own sequence allows.

        ``step`` (str): "same", "changed", "only in a", "only in b"; the columns of ``by``, an agent by its role (names as
        category, label as str); ``difference`` (str), missing if there is none: of a step that changed from ``a`` to ``b``
        "failed" or "succeeded", "arguments", "slower" or "faster", joined by ", "; "order" if a step of one run is also a
        step of the other, but not at a place where the two can be matched; if that is only a place among the steps of other
        agents, the two are compared too. Arguments that one run does not have, or that were cut, are no difference.
        ``id_a, id_b``: the spans, missing where a run has no such step; ``instead``: for a step of one run, the same step of
        its agent out of order, else the first step of the other run after the last that both have, missing if there is none
        (in the row where the runs part, also the same step of its agent, if the row has another one);
        ``start_a, start_b, duration_a_us, duration_b_us, duration_change_us`` (Int64, µs), the change is b - a;
        ``first_divergence`` (bool): True in the row where the runs part: the first that differs in more than its time and its
        place among other agents, or else in its time, or else in that place. A step that failed, or took longer, as a step
        below it did, is no such row.

    Raises
    ------
    MissingColumn, BadSpan
        If an argument is not a frame of spans, has spans of several traces, or a parent's id in two rows, or if no span has a
        column or key of ``by``.
    BadOption
        If an option has another value than these, or ``by`` has the name of a column of the result.
    TokenvisError
        If the extra is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> a = pd.DataFrame({
    ...     "id": ["a1", "a2", "a3"], "trace_id": "monday", "agent_id": "coder", "location_id": ["desk", "web", "desk"],
    ...     "start_time": [0, 10, 20], "end_time": [10, 20, 30], "label": ["plan", "search", "write"],
    ... })
    >>> b = a.assign(id=["b1", "b2", "b3"], trace_id="tuesday", label=["plan", "ask", "write"], end_time=[10, 20, 99])
    >>> alignment(a, b)[["step", "label", "difference", "id_a", "id_b", "instead", "first_divergence"]]
            step   label difference id_a id_b instead  first_divergence
    0       same    plan        NaN   a1   b1     NaN             False
    1  only in a  search        NaN   a2  NaN      b2              True
    2  only in b     ask        NaN  NaN   b2      a2             False
    3    changed   write     slower   a3   b3     NaN             False
    """
    check_choice("order", order, STEP_ORDERS)
    if isinstance(ratio, bool) or not isinstance(ratio, int | float | np.number) or not ratio >= 1:
        raise BadOption(f"ratio={quoted(ratio)} is not a factor of at least 1, such as 2.0.")
    columns = by_columns(by, RESULT_COLUMNS)[1:]
    if find_spec("rapidfuzz") is None:
        raise TokenvisError("alignment() needs the extra: pip install 'tokenvis[alignment]'.")
    by_agent = order == "agent"
    steps = run_steps_of(a, b, dict.fromkeys([*["agent_id"] * by_agent, *columns]), match)
    pairs = aligned(steps, by_agent=by_agent)
    own = pairs if by_agent or "agent_id" not in columns else aligned(steps, by_agent=True)
    return alignment_table(steps, pairs, own, float(ratio))


def aligned(steps: RunSteps, *, by_agent: bool) -> StepPairs:
    """The rows of the alignment, of all steps or of each agent's."""
    sequence = groups_of(steps.spans, *["agent_id"] * by_agent).group
    runs = np.split(np.arange(len(sequence)), [steps.n_first])
    n_sequences = count_ranks(sequence)
    return step_pairs(*(sequences_of(run, steps.key[run], sequence[run], n_sequences) for run in runs))


def alignment_table(steps: RunSteps, pairs: StepPairs, own: StepPairs, ratio: float) -> pd.DataFrame:
    """The result of `alignment`; ``own`` has the pairs of each agent's steps."""
    start, end = times_of(steps.spans)
    duration = difference(end, start)
    in_a, in_b = pairs.a != NO_STEP, pairs.b != NO_STEP
    compared = pairs if own is pairs else with_counterparts(pairs, own)
    of_agents = step_differences(steps, own, own, duration, ratio)
    found = of_agents if own is pairs else step_differences(steps, pairs, compared, duration, ratio)
    found, compared = with_divergence(steps.key, found, compared, of_agents, own)
    kind = np.select([~in_b, ~in_a, found.any], [2, 3, 1], 0)
    change = np.zeros(len(kind), dtype=np.int64)
    change[in_a & in_b] = difference(duration[pairs.b[in_a & in_b]], duration[pairs.a[in_a & in_b]])
    row = np.where(in_a, pairs.a, pairs.b)
    return pd.DataFrame(
        {
            "step": pd.array(np.array(STEP_KINDS, dtype=object)[kind], dtype="str"),
            **{name: values_of_steps(column.iloc[row]) for name, column in steps.columns.items()},
            "difference": pd.array(found.names, dtype="str"),
            "id_a": ids_at(steps.spans, pairs.a),
            "id_b": ids_at(steps.spans, pairs.b),
            "instead": ids_at(steps.spans, compared.instead),
            "start_a": integers_where(in_a, start[pairs.a]),
            "start_b": integers_where(in_b, start[pairs.b]),
            "duration_a_us": integers_where(in_a, duration[pairs.a]),
            "duration_b_us": integers_where(in_b, duration[pairs.b]),
            "duration_change_us": integers_where(in_a & in_b, change),
            "first_divergence": found.divergence,
        }
    )


def values_of_steps(column: pd.Series) -> Any:
    """The values of a column that makes a step: names as a Categorical, and texts as ``str`` also if there are none."""
    if column.name in NAMES:
        return as_categorical(column)
    return column.astype("str").array if column.dtype == object and column.isna().all() else column.array


def integers_where(present: Mask, values: Int64Array) -> Any:
    """Values as Int64, missing where they are not present."""
    return pd.arrays.IntegerArray(values, ~present)
