import pandas as pd

from tokenvis.plot.comparisons.run_notes import role_notes, unknown_notes


def names_of(*rows):
    """The names of `matched`, from "trace role matched_by"."""
    return pd.DataFrame([row.split() for row in rows], columns=["trace_id", "agent_id", "matched_by"])


def test_an_agent_is_counted_once_in_all_its_runs():
    names = ["mon tester name", "mon lead name", "tue tester role", "wed tester role", "wed tester role"]
    assert role_notes(names_of(*names)) == ["1 agent matched by what it does, in 2 runs"]
    assert role_notes(names_of(*names, "tue lead role")) == ["2 agents matched by what they do, in 2 runs"]
    assert role_notes(names_of(*names[:3])) == ["1 agent matched by what it does, in 1 run"]
    assert role_notes(names_of(*names[:2], "tue tester match")) == []


def test_calls_are_told_of_the_measure_that_lacks_them():
    runs = pd.DataFrame({"n_silent": [0, 1], "n_unpriced": [1000, 2]})
    assert unknown_notes(runs, "tokens") == ["1 call without a token count"]
    assert unknown_notes(runs, "cost") == ["1,002 calls without a cost"]
    assert unknown_notes(runs, "busy_us") == []
    assert unknown_notes(runs.iloc[:0], "cost") == []
