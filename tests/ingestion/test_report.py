import pickle
from collections import Counter
from pathlib import Path

import pandas as pd
from files import reading_of

from tokenvis import Store
from tokenvis.ingestion.report import MAX_LINES, Report
from tokenvis.store.store import Written


def spans(trace, *agents):
    return pd.DataFrame({"trace_id": trace, "agent_id": agents, "location_id": "desk"})


def filled():
    report = Report(Store("x.db"), formats={"a": "Codex rollouts", "b": "Codex rollouts", "c": "MLflow traces"})
    report.names = {"t": "<b>talk</b>"}
    report.add(spans("t", "Ann", "Bob"), [Written(Path("x.db"), "t", 2)])
    report.add(spans("t", "Ann"), [Written(Path("x.db"), "t", 0, updated=1)])
    return report


def test_batches_of_one_trace_are_counted_together():
    report = filled()
    assert report.written == [Written(Path("x.db"), "t", 2, updated=1)]
    assert (report.n_spans, report.n_agents, report.n_locations) == (3, 2, 1)


def test_a_report_can_be_pickled():
    assert str(pickle.loads(pickle.dumps(filled()))) == str(filled())


def test_the_report_as_text():
    report = filled()
    agents = {"source": 1, "rule": 3, "ancestor": 1_000, "service": 2, "trace": 1}
    report.count(Counter({**agents, "estimated": 2, "open": 3, "identical": 4, "snapshots": 5}))
    report.n_cut = 5
    report.skipped["lines of type 'x'"] = 6
    report.problems += reading_of("x.jsonl", "").problems
    assert str(report).splitlines() == [
        f"Database: {Path('x.db').absolute()}",
        "Read: Codex rollouts, 2 files",
        "Read: MLflow traces, 1 file",
        "Trace 't' (<b>talk</b>): 2 spans added, 1 updated, 0 unchanged",
        "3 spans, 2 agents, 1 location",
        "Agents of spans: named by the source 1, by your rule 3, by an ancestor 1,000, by the service 2, "
        "by the name of the trace 1",
        "Estimated values: 2 (missing in the source; see `estimated` in data)",
        'Without an end: 3 (closed at the last time seen; `status` is "open")',
        "Duplicates dropped: 4 (identical records)",
        "Earlier snapshots of spans: 5 (a later record replaced them)",
        "Texts shortened or removed: 5",
        "Skipped:",
        "  lines of type 'x': 6",
    ]


def test_many_traces_are_summed_up():
    report = Report(Store("x.db"))
    for number in range(MAX_LINES + 3):
        report.add(spans(f"t{number}", "Ann"), [Written(Path("x.db"), f"t{number}", 1, unchanged=number)])
    assert str(report).splitlines()[MAX_LINES + 1 :] == [
        "and 3 more traces: 3 spans added, 0 updated, 39 unchanged",
        "15 spans, 1 agent, 1 location",
    ]


def test_the_report_in_a_notebook_is_escaped():
    html = filled()._repr_html_()
    assert "&lt;b&gt;talk&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "3 spans, 2 agents, 1 location" in html
