"""Groups: the rows of a frame that share a trace and the values of further columns.

Groups are numbered from 0 in the order of those values, a missing value last. A table with a row per group has the names
of the first row of each group.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, listed, name_list
from tokenvis.spans.columns import ranks_of, values_at
from tokenvis.spans.integers import Int64Array, count_ranks

MAX_CELLS_PER_ROW = 4  # limit of the lookup table in dense_ranks; sparser codes are sorted instead


@dataclass(frozen=True)
class Groups:
    """The number of each row's group (``group``), the first row of each group (``first``), and the grouping ``columns``."""

    group: Int64Array
    first: Int64Array
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.first)

    def names(self, spans: pd.DataFrame, groups: Int64Array | None = None) -> dict[str, Any]:
        """The grouping columns as columns of a table with a row for each of these groups (by default all)."""
        rows = self.first if groups is None else self.first[groups]
        return {column: values_at(spans, column, rows) for column in self.columns}


def groups_of(spans: pd.DataFrame, *columns: str) -> Groups:
    """Group the rows of a frame by these columns; rows with a missing value form a separate group."""
    group, size = np.zeros(len(spans), dtype=np.int64), 1
    for column in columns:
        codes = ranks_of(spans[column])
        n_names = count_ranks(codes)
        codes[codes < 0] = n_names
        group, size = dense_ranks(group * (n_names + 1) + codes, size * (n_names + 1))
    first = np.zeros(size, dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    return Groups(group, first[: count_ranks(group)], columns)


def dense_ranks(codes: Int64Array, size: int) -> tuple[Int64Array, int]:
    """Codes from 0 to ``size`` as ranks among the codes that occur, and the number of distinct codes."""
    if size > MAX_CELLS_PER_ROW * len(codes) + 1024:
        distinct, ranks = np.unique(codes, return_inverse=True)
        return ranks.reshape(-1).astype(np.int64, copy=False), len(distinct)
    used = np.zeros(size, dtype=bool)
    used[codes] = True
    ranks = np.cumsum(used) - 1
    return ranks[codes], int(used.sum())


def by_columns(by: str | Iterable[str] | None, result_columns: Iterable[str]) -> list[str]:
    """The columns to group by, trace_id first; `BadOption` if one has the name of a column of the result."""
    columns = [] if by is None else name_list("by", by)
    clash = [column for column in columns if column in set(result_columns)]
    if clash:
        raise BadOption(f"by={listed(clash)} is also a column of the result. Rename it in the spans first.")
    return list(dict.fromkeys(["trace_id", *columns]))


def ratio(part: Int64Array, whole: Int64Array) -> pd.Series:
    """``part / whole`` as Float64, missing where ``whole`` is 0."""
    share = pd.array(part / np.where(whole > 0, whole, 1), dtype="Float64")
    share[whole == 0] = pd.NA
    return pd.Series(share)
