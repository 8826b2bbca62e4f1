"""Causes: what makes some of many runs slow, dear or failed, for ``tokenvis compare``."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tokenvis.commands.comparison import Comparison
from tokenvis.commands.facts import records
from tokenvis.commands.texts import change_text, name_cell, text_of_metric, wrapped_lines
from tokenvis.errors import BadOption, plural
from tokenvis.runs.baseline import MEDIAN
from tokenvis.runs.contributions import NOT_KNOWN, ORDINARY, contributions
from tokenvis.runs.matching import BY_NAME
from tokenvis.runs.outcomes import Outcome
from tokenvis.runs.robust import MIN_EXCESS, MIN_RUNS

MAX_CAUSES, MAX_RUNS = 2, 4  # that are shown
WORDS: dict[Outcome, tuple[str, str]] = {  # what runs are called among all runs, and against a side
    "time": ("Slow", "Slower than"),
    "cost": ("Dear", "Dearer than"),
    "tokens": ("Many tokens", "More tokens than"),
    "errors": ("Errors", "More errors than"),
}


def cause_facts(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """The causes by outcome, as values that JSON has; none for an outcome that is not known."""
    tables = {outcome: table_of_causes(comparison, outcome) for outcome in WORDS}
    return {outcome: records(table) for outcome, table in tables.items() if table is not None}


def table_of_causes(comparison: Comparison, outcome: Outcome) -> pd.DataFrame | None:
    """The contributions to an outcome, with the ids and the names of runs; None if no run tells it.

    They explain runs of other sides against those of the baseline, or, of a single source, odd runs against the others.
    """
    if len(comparison.runs.table) < MIN_RUNS:
        return None
    spans, prices = comparison.totals.spans, comparison.totals.prices
    try:
        found = contributions(
            spans, outcome=outcome, baseline=runs_of_baseline(comparison) or MEDIAN, match=BY_NAME, prices=prices
        )
    except BadOption:
        return None
    runs = comparison.runs.table.assign(name=run_names(comparison)).set_index("trace_id")
    columns = {"trace_ids": "id_in_source", "runs": "name"}
    lists = {key: [runs.loc[ids, column].tolist() for ids in found["trace_ids"]] for key, column in columns.items()}
    lists_of_runs = {key: pd.Series(each, dtype="object") for key, each in lists.items()}
    return found.drop(columns="names").assign(**lists_of_runs)  # names are those of the totals


def runs_of_baseline(comparison: Comparison) -> list[str]:
    """The ids of the runs of the baseline, if there are several sources; else each run is a side, and none is special."""
    table = comparison.runs.table
    in_baseline = (table["side"] == comparison.baseline) & (len(table["source"].unique()) > 1)
    return table.loc[in_baseline, "trace_id"].tolist()


def run_names(comparison: Comparison) -> pd.Series:
    """The name of each run: with the side, if runs of other sides have it; another, if runs of its side have it."""
    table = comparison.runs.table
    name = table["name"].mask(table.duplicated(["side", "name"], keep=False), table["distinct_name"])
    is_shared = table["name"].duplicated(keep=False) & (table["distinct_name"] != table["side"])
    return name.mask(is_shared, name + " in " + table["side"])


def cause_lines(comparison: Comparison) -> Iterator[str]:
    """The largest causes of each outcome, as text; those of tokens only if not all costs are known."""
    cost_is_known, of_baseline = False, runs_of_baseline(comparison)
    n_runs = len(comparison.runs.table) - len(of_baseline)
    for outcome, words in WORDS.items():
        table = None if outcome == "tokens" and cost_is_known else table_of_causes(comparison, outcome)
        if table is None:
            continue
        cost_is_known |= outcome == "cost" and NOT_KNOWN not in set(table["cause"])
        causes = table[~table["cause"].isin([ORDINARY, NOT_KNOWN]) & (table["contribution"] > least_shown(comparison, outcome))]
        if len(causes):
            n_explained = int(table.loc[table["cause"] == ORDINARY, "n_runs"].iloc[0])
            causes = causes.assign(added=causes["contribution"] * n_explained / causes["n_runs"])
            head = f"{words[1]} {name_cell(str(comparison.baseline))}" if of_baseline else words[0]
            yield from ["", *wrapped_lines(f"{head}: {causes_text(outcome, causes, n_runs)}.", "  ")]


def least_shown(comparison: Comparison, outcome: Outcome) -> float:
    """What a cause has to contribute to be shown: a share of the baseline's value."""
    value = comparison.baseline_amounts(comparison.totals.whole)[outcome].value
    return MIN_EXCESS * (value or 0)


def causes_text(outcome: Outcome, causes: pd.DataFrame, n_runs: int) -> str:
    """The first causes, and how many more there are."""
    texts = [cause_text(outcome, cause, n_runs) for _, cause in causes.head(MAX_CAUSES).iterrows()]
    if len(causes) > MAX_CAUSES:
        texts.append(f"{len(causes) - MAX_CAUSES:,} more")
    return "; ".join(texts)


def cause_text(outcome: Outcome, cause: pd.Series, n_runs: int) -> str:
    """A cause, what it adds to each of its runs (``added``), and in which of the runs."""
    place = "" if pd.isna(cause["agent_id"]) else f" of {name_cell(cause['agent_id'])} at {name_cell(cause['location_id'])}"
    added = change_text(cause["added"], 0, text_of_metric(outcome))
    runs, more = cause["runs"][:MAX_RUNS], len(cause["runs"]) - MAX_RUNS
    named = ", ".join(map(name_cell, runs)) + (f" and {more:,} more" if more > 0 else "")
    return f"{cause['cause']}{place}, {added} in {cause['n_runs']:,} of {plural(n_runs, 'run')} ({named})"
