"""The order of names in legends and lists, and the choice of those that matter most."""

import re

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of
from tokenvis.tree.states import States, states_of

DIGITS = re.compile(r"([0-9]+)")
ROWS_AT_ONCE = 250_000  # so that millions of spans need little memory beyond the frame


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """The sort key of a name: numbers in it count as numbers, so that "worker 2" is before "worker 10"."""
    parts = DIGITS.split(name)
    digits = [part.lstrip("0") for part in parts[1::2]]
    keys = [(0, 0, part) for part in parts]
    keys[1::2] = [(1, len(part), part) for part in digits]
    return keys


def busiest_names(spans: pd.DataFrame, values: pd.Series, count: int, *, states: States | None = None) -> list[str]:
    """The ``count`` values whose spans work longest, in natural order; all, if there are not more.

    ``values`` has one for each span. Of equally busy ones, the first by name. ``states`` are those of the spans, if known.
    """
    codes, labels = codes_of(values)
    names = [str(label) for label in labels]
    if len(names) <= count:
        return sorted(names, key=natural_key)
    row, start, end = (states_of(spans) if states is None else states).work()
    work_us = np.zeros(len(names) + 1)  # the last is that of missing values
    for first in range(0, len(row), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        work_us += np.bincount(codes[row[rows]] % len(work_us), end[rows].astype(float) - start[rows], len(work_us))
    busiest = np.argsort(-work_us[:-1], kind="stable")[:count].tolist()
    return sorted((names[code] for code in busiest), key=natural_key)
