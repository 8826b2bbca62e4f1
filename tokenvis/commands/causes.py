"""Causes: what makes some of many runs slow, dear or failed, for ``tokenvis compare``."""

from collections.abc import Iterator
from typing import Any, get_args

import pandas as pd

from tokenvis.commands.comparison import Comparison
from tokenvis.commands.facts import records
from tokenvis.commands.texts import change_text, name_cell, text_of_metric, wrapped_lines
from tokenvis.errors import BadOption, plural
from tokenvis.runs.contributions import NOT_KNOWN, ORDINARY, contributions
from tokenvis.runs.parts import Outcome
from tokenvis.runs.robust import MIN_RUNS

MAX_CAUSES, MAX_RUNS = 2, 4  # that are shown
WORDS = {"time": "Slow", "cost": "Dear", "errors": "Failed"}  # what runs are called; tokens make them dear too


def cause_facts(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """The causes by outcome, as values that JSON has; none for an outcome that is not known."""
    return {outcome: records(table) for outcome, table in tables_of_causes(comparison).items()}


def tables_of_causes(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """The contributions to each outcome among all runs, with the runs by their names."""
    names = run_names(comparison)
    tables = {}
    for outcome in get_args(Outcome) if len(names) >= MIN_RUNS else ():
        try:
            spans, prices = comparison.totals.spans, comparison.totals.prices
            found = contributions(spans, outcome=outcome, match="agent_id", prices=prices)
        except BadOption:  # no run tells it
            continue
        runs = [[names[trace_id] for trace_id in trace_ids] for trace_ids in found["trace_ids"]]
        tables[outcome] = found.drop(columns=["names", "trace_ids"]).assign(runs=pd.Series(runs, dtype="object"))
    return tables


def run_names(comparison: Comparison) -> dict[str, str]:
    """The name of each run; with its side, if several runs have the name."""
    table = comparison.runs.table
    names = table["name"].mask(table["name"].duplicated(keep=False), table["name"] + " in " + table["side"])
    return dict(zip(table["trace_id"], names, strict=True))


def cause_lines(comparison: Comparison) -> Iterator[str]:
    """The largest causes of each outcome, as text."""
    for outcome, table in tables_of_causes(comparison).items():
        causes = table[~table["cause"].isin([ORDINARY, NOT_KNOWN]) & (table["contribution"] > 0)]
        if outcome not in WORDS or not len(causes):
            continue
        texts = [cause_text(outcome, cause, len(comparison.runs.table)) for _, cause in causes.head(MAX_CAUSES).iterrows()]
        yield from ["", *wrapped_lines(f"{WORDS[outcome]}: {'; '.join(texts)}.", "  ")]


def cause_text(outcome: str, cause: pd.Series, n_runs: int) -> str:
    """A cause, what it adds, and in which of the runs."""
    place = "" if pd.isna(cause["agent_id"]) else f" of {name_cell(cause['agent_id'])} at {name_cell(cause['location_id'])}"
    added = change_text(cause["unusual"], cause["usual"], text_of_metric(outcome))
    runs, more = cause["runs"][:MAX_RUNS], len(cause["runs"]) - MAX_RUNS
    named = ", ".join(map(name_cell, runs)) + (f" and {more:,} more" if more > 0 else "")
    return f"{cause['cause']}{place}, {added} in {cause['n_runs']:,} of {plural(n_runs, 'run')} ({named})"
