"""Facts: what ``tokenvis summary`` says about each run, as values that JSON has; its text is made of them.

Their names are those of the columns of the questions that they come from. Times are in µs; what is not known is None.
"""

from typing import Any

import numpy as np
import pandas as pd

from tokenvis.analysis.critical_path import PATH_STATES
from tokenvis.analysis.diagnose import diagnose
from tokenvis.analysis.summary import SUMMARY_COLUMNS, summary
from tokenvis.analysis.usage import usage
from tokenvis.commands.sources import SourceRuns
from tokenvis.commands.totals import METRIC_COLUMNS, UNCOUNTED, totals_of
from tokenvis.findings.basis import Basis
from tokenvis.findings.doubts import duplicates, losses, usage_findings
from tokenvis.runs.baseline import run_ids
from tokenvis.runs.run_paths import IDLE, run_paths
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.prices import Prices
from tokenvis.tree.relations import NO_ROW

USAGE_FACTS = ("input_tokens", "output_tokens", "price_source", "unpriced_models")
UNCERTAIN_USAGE = ("invalid usage", "unexplained usage", "surplus usage")  # without silent calls, which totals count
PATH_NAMES = ("agent_id", "location_id")
# States of `run_paths`, whose gaps are idle.
PATH_STATE_NAMES = tuple("idle" if state == IDLE else name for state, name in enumerate(PATH_STATES))


def facts_of(runs: SourceRuns, prices: Prices | None) -> list[dict[str, Any]]:
    """The facts of each run, in the order of ``runs.table``."""
    spans = runs.spans
    totals, sizes = rows_by_run(totals_of(spans, prices=prices)), rows_by_run(summary(spans))
    figures = rows_by_run(usage(spans, by="trace_id", prices=prices))
    lists = {"agents": agents_by_work(spans), "critical_path": path_parts(spans), "findings": findings_about(spans, prices)}
    facts = []
    for trace_id, in_source, name in runs.table[["trace_id", "id_in_source", "name"]].itertuples(index=False):
        total, used = totals[trace_id], figures.get(trace_id, {})
        facts.append(
            {
                "trace_id": in_source,
                "name": name,
                **{column: sizes[trace_id][column] for column in SUMMARY_COLUMNS},
                **{column: total[column] for column in (*METRIC_COLUMNS.values(), *UNCOUNTED.values())},
                **{column: used.get(column) for column in USAGE_FACTS},
                **{fact: found.get(trace_id, []) for fact, found in lists.items()},
            }
        )
    return facts


def rows_by_run(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The row of each run, with values that JSON has."""
    return {row.pop("trace_id"): row for row in records(table)}


def lists_by_run(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The rows of each run, with values that JSON has."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for row in records(table):
        lists.setdefault(row.pop("trace_id"), []).append(row)
    return lists


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, with values that JSON has: None for a missing one."""
    values = {name: [document_value(value) for value in table[name].tolist()] for name in table.columns}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def document_value(value: Any) -> Any:
    """A value of a cell as JSON has it."""
    return value if isinstance(value, list) else None if pd.isna(value) else value


def agents_by_work(spans: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The agents of each run and their work, the most first."""
    table = summary(spans, by="agent_id")[["trace_id", "agent_id", "n_spans", "busy_us", "waiting_us", "n_errors"]]
    return lists_by_run(table.sort_values("busy_us", ascending=False, kind="stable"))


def path_parts(spans: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The time on the critical path of each run, by agent, location and state, the longest first; None where nothing runs."""
    spans = recorded_spans(spans)
    path = run_paths(spans)
    runs, states = np.array(run_ids(spans), dtype=object), np.array(PATH_STATE_NAMES)
    table = pd.DataFrame({"trace_id": runs[path.run], "state": states[path.state], "part_us": path.end - path.start})
    for name in PATH_NAMES:
        table[name] = pd.Series(spans[name].astype("str").array[path.row]).mask(path.row == NO_ROW)
    parts = table.groupby(["trace_id", *PATH_NAMES, "state"], dropna=False, as_index=False)["part_us"].sum()
    parts = parts[parts["part_us"] > 0].sort_values("part_us", ascending=False, kind="stable")
    return lists_by_run(parts)


def doubts_about_totals(spans: pd.DataFrame) -> dict[str, set[str]]:
    """The kinds of doubts of `diagnose` about each run that make its totals uncertain; no others are looked for."""
    basis, found = Basis(recorded_spans(spans)), dict[str, set[str]]()
    usage_doubts = [doubt for doubt in usage_findings(basis.figures) if doubt.kind in UNCERTAIN_USAGE]
    for kind, frame, rows in (
        ("lost", spans, losses(spans).rows),
        ("duplicate id", basis.spans, duplicates(basis)),
        *((doubt.kind, basis.distinct, doubt.rows) for doubt in usage_doubts),
        ("open", basis.spans, basis.with_status("open")),
    ):
        for trace_id in frame["trace_id"].iloc[rows].unique():
            found.setdefault(str(trace_id), set()).add(kind)
    return found


def findings_about(spans: pd.DataFrame, prices: Prices | None) -> dict[str, list[dict[str, Any]]]:
    """What `diagnose` finds in each run, without the ids of spans."""
    return lists_by_run(diagnose(spans, prices=prices).drop(columns="span_ids"))
