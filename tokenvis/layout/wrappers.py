"""Wrappers: agents that only wait, such as the root of a workflow.

A wrapper is an agent with a wait, but without any work of positive length in its trace. Its spans enclose those of other
agents.
"""

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Mask, counts
from tokenvis.spans.states import WORK, States


def wrappers_of(spans: pd.DataFrame, states: States) -> set[str]:
    """The agents that are wrappers in each of their traces; ``states`` are those of the spans (`states_of`)."""
    return wrapper_names(spans, wrapper_rows(spans, states))


def wrapper_names(spans: pd.DataFrame, is_wrapper: Mask) -> set[str]:
    """The agents of which each row is marked in ``is_wrapper`` (`wrapper_rows`)."""
    if not is_wrapper.any():
        return set()
    codes, labels = codes_of(spans["agent_id"])
    works = counts(codes[~is_wrapper], len(labels)) > 0
    return {str(name) for name in labels[~works]}


def wrapper_rows(spans: pd.DataFrame, states: States) -> Mask:
    """The rows whose agent is a wrapper in its trace; ``states`` are those of the spans (`states_of`)."""
    if not states.state.any():
        return np.zeros(len(spans), dtype=bool)
    agents = groups_of(spans, "trace_id", "agent_id")
    takes_time = states.end > states.start
    of_piece = agents.group[states.row]
    works, waits = np.zeros(len(agents), dtype=bool), np.zeros(len(agents), dtype=bool)
    works[of_piece[takes_time & (states.state == WORK)]] = True
    waits[of_piece[takes_time & (states.state != WORK)]] = True
    is_wrapper: Mask = (waits & ~works)[agents.group]
    return is_wrapper
