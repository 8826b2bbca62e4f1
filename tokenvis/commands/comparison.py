"""Comparison: the sides of ``tokenvis compare``, their totals, and their changes from the baseline.

A side is what one argument has: its runs count as their median. A single argument has a side for each of its runs.
"""

from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from tokenvis.commands.facts import doubts_about_totals, records
from tokenvis.commands.sources import SourceRuns, read_runs
from tokenvis.commands.totals import METRIC_COLUMNS, Amounts, SideTotals, median_amount
from tokenvis.errors import BadOption, listed, quoted
from tokenvis.runs.baseline import MEDIAN
from tokenvis.runs.matching import BY_ROLE, matched
from tokenvis.runs.rules import Amount
from tokenvis.spans.columns import as_categorical


@dataclass(frozen=True)
class Comparison:
    """The sides and their runs; ``baseline`` is the name of a side, or None for the median of all sides.

    ``runs.table`` has a column ``side``; ``agents`` has a row for each agent of each run: its ``side``, its name there, the
    ``agent_id`` that it has in the totals, and what it was ``matched_by``.
    """

    runs: SourceRuns
    names: list[str]
    baseline: str | None
    totals: SideTotals
    agents: pd.DataFrame

    @property
    def others(self) -> list[str]:
        """The sides that are compared with the baseline."""
        return [name for name in self.names if name != self.baseline]

    def baseline_of(self, values: dict[str, Amount]) -> Amount:
        """The value of the baseline among the values of all sides."""
        return median_amount(values.values()) if self.baseline is None else values[self.baseline]

    def baseline_amounts(self, amounts: dict[str, Amounts]) -> Amounts:
        """The metrics of the baseline among those of all sides."""
        return {metric: self.baseline_of({side: amounts[side][metric] for side in self.names}) for metric in METRIC_COLUMNS}

    def spans_of(self, side: str) -> pd.DataFrame:
        """The spans of a side, with the agents of the totals."""
        spans = self.totals.spans
        return spans[spans["trace_id"].astype("str").map(self.totals.sides) == side]

    @cached_property
    def doubts(self) -> dict[str, dict[str, int]]:
        """The kinds of doubts about the totals of each side, and in how many runs they are."""
        found = {side: Counter[str]() for side in self.names}
        for trace_id, kinds in doubts_about_totals(self.runs.spans).items():
            found[self.totals.sides[trace_id]].update(kinds)
        return {side: dict(sorted(counts.items())) for side, counts in found.items()}

    def n_runs(self, side: str) -> int:
        """The number of runs of a side."""
        return int((self.runs.table["side"] == side).sum())


def comparison_of(args: Namespace) -> Comparison:
    """The comparison that the arguments ask for."""
    runs = read_runs(args.sources, args.database)
    table = runs.table.assign(side=side_names(runs.table, args.sources))
    names = table["side"].unique().tolist()
    if len(names) == 1:
        raise BadOption(f"{quoted(args.sources[0])} has one run, so there is nothing to compare. Name another file or trace.")
    sides = dict(zip(table["trace_id"], table["side"], strict=True))
    baseline = chosen_baseline(args, names)
    spans, agents = matched_agents(runs.spans, args.match, sides, baseline)
    totals = SideTotals(spans, sides, args.prices, dict(zip(agents["name_in_run"], agents["agent_id"], strict=True)))
    return Comparison(SourceRuns(runs.spans, table, runs.problems, runs.notes), names, baseline, totals, agents)


def matched_agents(
    spans: pd.DataFrame, match: str, sides: dict[str, str], baseline: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The spans with the agents of all runs matched, and a row for each agent of each run; names are those in the baseline."""
    found = matched(spans, match)
    agents = found.names.astype({"trace_id": "str", "agent_id": "str"})
    agents = agents.assign(side=agents["trace_id"].map(sides))
    in_baseline = agents[agents["side"] == baseline].drop_duplicates("agent_id")
    names = dict(zip(in_baseline["agent_id"], in_baseline["name_in_run"], strict=True))
    agents["agent_id"] = agents["agent_id"].map(lambda agent: names.get(agent, agent))
    agents["matched_by"] = agents["matched_by"].mask(agents["agent_id"] == agents["name_in_run"], "name")
    agents["matched_by"] = agents["matched_by"].mask(agents["agent_id"] != agents["name_in_run"], BY_ROLE)
    matched_names = found.spans["agent_id"].astype("str").map(lambda agent: names.get(agent, agent))
    return found.spans.assign(agent_id=as_categorical(matched_names)), agents


def side_names(table: pd.DataFrame, sources: list[str]) -> list[str]:
    """The side of each run: its source, or, of a single source, the run itself, by a name that no other has."""
    if len(sources) > 1:
        counts = [sources[:position].count(source) for position, source in enumerate(sources)]
        unique = [f"{source} ({count + 1})" if count else source for source, count in zip(sources, counts, strict=True)]
        return [unique[source] for source in table["source"]]
    return list(table["distinct_name"])


def chosen_baseline(args: Namespace, names: list[str]) -> str | None:
    """The name of the side that is the baseline; None for the median of the sides."""
    if args.baseline is None:
        return names[0]
    if args.baseline == MEDIAN:  # also if a side has this name, as in `compare`
        return None
    if args.baseline in names:
        return str(args.baseline)
    raise BadOption(f"--baseline {quoted(args.baseline)} is neither a side nor 'median'. Sides: {listed(names)}.")


def comparison_facts(comparison: Comparison, by: str) -> dict[str, Any]:
    """The sides, what changed of each agent or location, and which agents were matched, as values that JSON has."""
    whole = comparison.totals.whole
    baseline, sides, changes = comparison.baseline_amounts(whole), [], []
    runs = comparison.runs.table[["side", "id_in_source", "name"]].rename(columns={"id_in_source": "trace_id"})
    for side in comparison.names:
        own = records(runs[runs["side"] == side].drop(columns="side"))
        sides.append({"side": side, "runs": own, "doubts": comparison.doubts[side], **side_facts(whole[side], baseline)})
    for name, amounts in comparison.totals.by(by).items():
        of_baseline = comparison.baseline_amounts(amounts)
        changes += [{by: name, "side": side, **side_facts(amounts[side], of_baseline)} for side in comparison.names]
    agents = records(comparison.agents[["side", "agent_id", "name_in_run", "matched_by"]].astype("str").drop_duplicates())
    return {"baseline": comparison.baseline or MEDIAN, "sides": sides, "by": by, "changes": changes, "agents": agents}


def side_facts(amounts: Amounts, baseline: Amounts) -> dict[str, Any]:
    """The metrics of a side, and their changes from the baseline."""
    values = {column: amounts[metric].value for metric, column in METRIC_COLUMNS.items()}
    bounds = [column for metric, column in METRIC_COLUMNS.items() if amounts[metric].is_lower_bound]
    changes = {column: change_facts(amounts[metric].value, baseline[metric].value) for metric, column in METRIC_COLUMNS.items()}
    return {**values, "lower_bounds": bounds, "changes": changes}


def change_facts(value: float | None, baseline: float | None) -> dict[str, float | None] | None:
    """A difference and a ratio, of which the latter is not known if the baseline is 0; None if one value is not known."""
    if value is None or baseline is None:
        return None
    difference = value - baseline
    if isinstance(difference, float):
        difference = float(f"{difference:.12g}")
    return {"difference": difference, "ratio": value / baseline if baseline else None}
