"""Tokens and cost: the figures of each span, counted once.

Many sources repeat the figures of the calls below on an agent's span, as a sum. Some give them for the agent only, and some for
the agent and a part of its calls. So, key by key and from the bottom up, with T as the sum of what counts below a span:

- Nothing below has a figure: the span's own figure counts.
- No call below is silent: the own figure is a repetition of T. A model call is silent if it has no figure and did not fail.
- A call below is silent, and the own figure is at least T: the difference counts for the span itself. It is what the silent
  calls used. A lower figure is unexplained, and does not count.

A figure that the source marks as estimated never counts. A span whose figures are all zero has none, and a cost of 0 is none:
instrumentations write zeros for calls whose usage or price they do not know. Names are from OpenTelemetry's conventions for
generative AI: input tokens include cached tokens, output tokens include reasoning tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.spans.endings import endings_of
from tokenvis.spans.fields import field_values, valid_field_numbers
from tokenvis.spans.integers import Int64Array, Mask
from tokenvis.spans.kinds import MODEL, kinds_of
from tokenvis.tree.relations import NO_ROW, depths, have_descendant, nearest_marked

TOKEN_KEYS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
TOKENS = tuple(TOKEN_KEYS)
COST = "gen_ai.usage.cost"
FIGURE_KEYS = {**TOKEN_KEYS, "cost": COST}
NAME_OF = {key: name for name, key in FIGURE_KEYS.items()}
ALL_FIGURES = "usage"  # in `estimated`: all figures of the span
PARTS = (  # a part, its whole, and another part that it shares the whole with
    ("cached_tokens", "input_tokens", None),
    ("cache_creation_tokens", "input_tokens", "cached_tokens"),
    ("reasoning_tokens", "output_tokens", None),
)
ROUNDING = 1e-9  # of a sum of costs, which may differ in its last digits

Numbers: TypeAlias = np.ndarray[tuple[int], np.dtype[Any]]  # int64 for tokens, float64 for a cost


@dataclass(frozen=True)
class Figures:
    """One key of all spans: numbers of tokens as int64, a cost as float64, 0 for a span without one."""

    values: Numbers  # as in the source
    present: Mask  # the source gives a number, does not mark it as estimated, and not all figures of the span are zero
    estimated: Mask  # the source gives a number, and marks it as estimated
    invalid: Mask  # not a number of at least 0, and left out; or a part that is larger than its whole, and cut
    counted: Numbers  # the part of the value that counts for the span itself
    nested: Mask  # a span below has a number too
    unexplained: Mask  # lower than what counts below, though a call below is silent
    surplus: Mask  # higher than what counts below, though no call below is silent

    @property
    def repeated(self) -> Numbers:
        """The part of each value that counts below."""
        result: Numbers = np.where(self.present & ~self.unexplained, self.values - self.counted, 0)
        return result


@dataclass(frozen=True)
class Usage:
    """The figures of all spans, by the names in `FIGURE_KEYS`."""

    figures: dict[str, Figures]
    is_model: Mask  # the calls of a model
    silent: Mask  # the calls of a model that did not fail, without a figure here or below

    def __getitem__(self, name: str) -> Figures:
        return self.figures[name]

    def tokens(self) -> list[Figures]:
        """The figures that add up to all tokens: input and output."""
        return [self.figures["input_tokens"], self.figures["output_tokens"]]


def usage_of(spans: pd.DataFrame, parent: Int64Array) -> Usage:
    """The figures of each span, counted once; ``parent`` is the row of each span's parent, or -1."""
    figures = figures_in(spans)
    told = any_of(each.present for each in figures.values())
    is_model: Mask = kinds_of(spans) == MODEL
    row = np.flatnonzero(told | is_model)
    above = nearest_above(parent, row, len(spans))
    told_by_key = {name: each.present[row] for name, each in figures.items()}
    inner_by_key = {name: here & have_descendant(above, here) for name, here in told_by_key.items()}
    may_be_silent = is_model[row] & ~told[row]
    for name, inner in inner_by_key.items():
        if inner.any():
            may_be_silent |= is_model[row] & ~told_by_key[name]
    endings = endings_of(spans.iloc[row[may_be_silent]])
    may_be_silent[may_be_silent] = ~(endings.failed | endings.cancelled)
    for name, each in figures.items():
        here, inner = told_by_key[name], inner_by_key[name]
        sums = counted_once(each.values[row], here, inner, may_be_silent & ~here, above)
        figures[name] = with_sums(each, row, inner, *sums)
    silent = may_be_silent & ~told[row] & ~have_descendant(above, told[row])
    return Usage(figures, is_model, at_rows(silent, row, len(spans)))


def any_of(masks: Iterable[Mask]) -> Mask:
    """The rows for which any of the masks is true."""
    union: Mask = np.logical_or.reduce(list(masks))
    return union


def figures_in(spans: pd.DataFrame) -> dict[str, Figures]:
    """The figures of each span as in the source, by name; nothing is counted yet."""
    none: Mask = np.zeros(len(spans), dtype=bool)
    figures = {}
    for key, found in valid_field_numbers(spans, FIGURE_KEYS.values()).items():
        values, valid, invalid = figure_numbers(found.column, is_count=key != COST)
        invalid[found.invalid_rows] = True
        figures[NAME_OF[key]] = Figures(values, valid, none, invalid, np.zeros_like(values), none, none, none)
    figures = without_larger_parts(without_estimates(spans, figures))
    not_zero = any_of(each.present & (each.values > 0) for each in figures.values())
    return {name: replace(each, present=each.present & not_zero) for name, each in figures.items()}


def without_estimates(spans: pd.DataFrame, figures: dict[str, Figures]) -> dict[str, Figures]:
    """The figures, where those that ``estimated`` names are not present, but estimated."""
    rows = np.flatnonzero(any_of(each.present for each in figures.values()))
    estimates = estimated_names(spans, rows)
    if not estimates:
        return figures
    result = {}
    for name, each in figures.items():
        named = [row for row, names in estimates.items() if names & {name, FIGURE_KEYS[name], ALL_FIGURES}]
        is_named = at_rows(np.ones(len(named), dtype=bool), np.array(named, dtype=np.int64), len(spans))
        result[name] = replace(each, present=each.present & ~is_named, estimated=each.present & is_named)
    return result


def at_rows(values: Numbers, rows: Int64Array, count: int) -> Numbers:
    """An array for all ``count`` rows, with these values at ``rows``, and 0 or False at the others."""
    result: Numbers = np.zeros(count, dtype=values.dtype)
    result[rows] = values
    return result


def figure_numbers(column: pd.Series, *, is_count: bool) -> tuple[Numbers, Mask, Mask]:
    """Numbers as an array, 0 where there is no valid one; where there is a valid one, and where there is another number.

    A cost of 0 is neither.
    """
    numbers = column.fillna(0).to_numpy(dtype=np.int64 if column.dtype == "Int64" else np.float64)
    given: Mask = column.notna().to_numpy(dtype=bool)
    valid = given & (numbers >= 0)
    if numbers.dtype.kind == "f":
        valid &= numbers < 2.0**63
        valid &= (np.where(valid, numbers, 0) % 1 == 0) | (not is_count)
    values: Numbers = np.where(valid, numbers, 0).astype(np.int64 if is_count else np.float64)
    return values, valid if is_count else valid & (values > 0), given & ~valid


def estimated_names(spans: pd.DataFrame, rows: Int64Array) -> dict[int, set[str]]:
    """The figures that ``estimated`` names, for those of the rows that have any."""
    with_names, values = field_values(spans, "estimated", rows)
    figures = {*FIGURE_KEYS, *FIGURE_KEYS.values(), ALL_FIGURES}
    names = [figures.intersection(name for name in value if isinstance(name, str)) for value in map(as_list, values)]
    return {row: found for row, found in zip(with_names.tolist(), names, strict=True) if found}


def as_list(value: Any) -> list[Any]:
    """A list unchanged, any other value as the only one of a list."""
    return value if isinstance(value, list) else [value]


def without_larger_parts(figures: dict[str, Figures]) -> dict[str, Figures]:
    """The figures, where a part is at most its whole."""
    for part, whole, other in PARTS:
        limit = figures[whole].values - (figures[other].values if other else 0)
        here = figures[part]
        cut = here.present & figures[whole].present & (here.values > limit)
        if cut.any():
            figures[part] = replace(here, values=np.where(cut, limit, here.values), invalid=here.invalid | cut)
    return figures


def nearest_above(parent: Int64Array, row: Int64Array, n_spans: int) -> Int64Array:
    """For each of these rows, the position in ``row`` of its nearest ancestor that is one of them, or -1."""
    if not (parent[row] != NO_ROW).any():
        return np.full(len(row), NO_ROW)
    marked = np.zeros(n_spans, dtype=bool)
    marked[row] = True
    position = np.full(n_spans + 1, NO_ROW)
    position[row] = np.arange(len(row))
    nearest = np.append(nearest_marked(parent, marked), NO_ROW)[parent[row]]
    result: Int64Array = position[nearest]
    return result


def counted_once(values: Numbers, told: Mask, inner: Mask, silent: Mask, above: Int64Array) -> tuple[Numbers, Mask, Mask]:
    """What counts of each value, and where a value is lower or higher than what counts below: unexplained, surplus.

    ``inner`` are those of the ``told`` spans below which another is told; ``above`` is the position of the parent, or -1.
    """
    counted = np.where(told & ~inner, values, 0)
    unexplained, surplus = np.zeros_like(told), np.zeros_like(told)
    if inner.any():
        own, is_open = values[inner], have_descendant(above, silent)[inner]
        below = sums_below(counted, own, is_open, inner, above)
        margin = ROUNDING * below if values.dtype.kind == "f" else 0
        larger, smaller = own > below + margin, own < below - margin
        counted[inner] = np.where(is_open & larger, own - below, 0)
        unexplained[inner], surplus[inner] = is_open & smaller, ~is_open & larger
    return counted, unexplained, surplus


def sums_below(counted: Numbers, own: Numbers, is_open: Mask, inner: Mask, above: Int64Array) -> Numbers:
    """What counts below each inner span; ``is_open`` are those above a silent call, ``own`` are their values.

    The subtree of an inner span counts for its own value if it is open and the value is higher, else for what counts below it.
    So each is added to the next inner span above, the deepest first.
    """
    number = np.full(len(above) + 1, NO_ROW)
    number[:-1][inner] = np.arange(len(own))
    owner = np.append(number[nearest_marked(above, inner)], NO_ROW)[above]
    if own.dtype.kind == "i" and own.sum(dtype=np.float64) + counted.sum(dtype=np.float64) >= 2.0**62:
        counted, own = counted.astype(object), own.astype(object)  # sums of Python's integers have no limit
    below: Numbers = np.zeros(len(own) + 1, dtype=own.dtype)
    np.add.at(below, owner, counted)
    depth = depths(owner[inner])
    deepest_first = np.argsort(-depth, kind="stable")
    for level in np.split(deepest_first, np.flatnonzero(np.diff(depth[deepest_first])) + 1):
        total = np.where(is_open[level], np.maximum(own[level], below[level]), below[level])
        np.add.at(below, owner[inner][level], total)
    return below[:-1]


def with_sums(figures: Figures, row: Int64Array, inner: Mask, counted: Numbers, unexplained: Mask, surplus: Mask) -> Figures:
    """The figures with what counts of those in ``row``; the others have none."""
    counted, nested, lower, higher = (
        at_rows(values, row, len(figures.values)) for values in (counted, inner, unexplained, surplus)
    )
    return replace(figures, counted=counted, nested=nested, unexplained=lower, surplus=higher)
