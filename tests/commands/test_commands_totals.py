import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given

from tokenvis.commands.totals import METRIC_COLUMNS, SideTotals, totals_of
from tokenvis.runs.rules import Amount, parse_rule
from tokenvis.spans.losses import LOST_LOCATION
from tokenvis.tree.calls import retries_of

CALL = {"attributes": {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2, "gen_ai.usage.cost": 0.5}}


@pytest.fixture
def spans():
    """Three runs: calls in the first two, one of which is silent in the second; none in the third."""
    rows = ["ann 0 10 lab t", "bob 10 30 lab t", "ann 0 40 lab u", "ann 40 50 lab u", "bob 0 5 desk v"]
    return with_data(spans_of(*rows), a=CALL, c=CALL, d={"kind": "model"})


def test_what_an_agent_without_calls_took_is_nothing_if_the_run_tells_of_calls(spans):
    table = totals_of(spans, by="agent_id").set_index(["trace_id", "agent_id"])
    assert table.loc[("t", "bob"), ["n_spans", "busy_us", "tokens", "cost"]].tolist() == [1, 20, 0, 0.0]
    assert table.loc[("u", "bob"), ["n_spans", "busy_us", "tokens", "cost"]].tolist() == [0, 0, 0, 0.0]
    assert table.loc[("u", "ann"), ["n_spans", "tokens", "n_silent", "n_unpriced"]].tolist() == [2, 12, 1, 1]
    assert table.loc[("v", "bob"), ["tokens", "cost"]].isna().all()


def test_the_median_of_a_side_is_that_of_each_metric(spans):
    totals = SideTotals(spans, {"t": "old", "u": "old", "v": "new"}, None)
    assert totals.whole["old"]["time"] == Amount(40)
    assert totals.whole["old"]["work"] == Amount(40)
    assert totals.whole["old"]["tokens"] == Amount(12, is_lower_bound=True)
    assert totals.whole["old"]["cost"] == Amount(0.5, is_lower_bound=True)
    assert totals.whole["new"]["tokens"] == Amount(None)
    assert totals.by("agent_id")["bob"]["old"]["work"] == Amount(10)
    assert totals.by("location_id")["desk"]["old"]["spans"] == Amount(0)


def test_a_metric_that_one_run_does_not_tell_is_not_known(spans):
    totals = SideTotals(spans, dict.fromkeys("tuv", "all"), None)
    assert totals.whole["all"]["tokens"] == totals.whole["all"]["cost"] == Amount(None)
    assert totals.whole["all"]["spans"] == Amount(2)


def test_what_a_rule_is_about(spans):
    totals = SideTotals(spans, {"t": "t", "u": "u", "v": "v"}, None, roles={"bert": "bob", "bob": "bob"})
    assert totals.about(parse_rule("spans > 1")) == {"t": Amount(2), "u": Amount(2), "v": Amount(1)}
    assert totals.about(parse_rule("work of bob > 1s")) == {"t": Amount(20), "u": Amount(0), "v": Amount(5)}
    assert totals.about(parse_rule("work of bert > 1s")) == totals.about(parse_rule("work of bob > 1s"))
    assert totals.about(parse_rule("work of lab > 1s")) == {"t": Amount(30), "u": Amount(50), "v": Amount(0)}


def test_retries_are_failed_calls_that_were_tried_again():
    attempt = {"label": "try", "status": "error"}
    rows = spans_of("ann 0 1 lab", "ann 2 3 lab", "ann 4 5 lab", "bob 0 1 lab")
    spans = with_data(rows, a=attempt, b=attempt, c={"label": "try"}, d=attempt)
    assert totals_of(spans)["n_retries"].tolist() == [2]
    assert totals_of(spans, by="agent_id")["n_retries"].tolist() == [2, 0]


def test_retries_are_looked_for_once(spans, monkeypatch):
    looked_at = []
    monkeypatch.setattr("tokenvis.commands.totals.retries_of", lambda *of: looked_at.append(of) or retries_of(*of))
    totals = SideTotals(spans, {"t": "old", "u": "old", "v": "new"}, None)
    assert [side["retries"] for side in (*totals.whole.values(), *totals.by("agent_id")["bob"].values())] == [Amount(0)] * 4
    assert totals.by("location_id")["lab"]["old"]["retries"] == Amount(0)
    assert len(looked_at) == 1


def test_a_run_with_only_losses_has_zeros():
    spans = with_data(spans_of("ann 0 5 desk t", f"tokenvis 0 9 {LOST_LOCATION} u"), b={"kind": LOST_LOCATION, "n_lost": 3})
    table = totals_of(spans).set_index("trace_id")
    assert table.loc["u", ["n_spans", "wall_us", "n_retries"]].tolist() == [0, 0, 0]
    assert pd.isna(table.loc["u", "tokens"])


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, max_spans=8))
def test_the_parts_of_runs_add_up(spans):
    whole = totals_of(spans).set_index("trace_id")
    parts = totals_of(spans, by="agent_id")
    parts = parts[parts["n_spans"] > 0].groupby("trace_id", sort=False)
    for column in ("busy_us", "n_spans", "n_errors", "n_retries", "n_silent", "n_unpriced", "tokens"):
        total = parts[column].sum(min_count=1)
        assert total.fillna(-1).tolist() == whole.loc[total.index, column].fillna(-1).tolist(), column


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, max_spans=8))
def test_a_copy_changes_nothing(spans):
    runs = spans["trace_id"].astype("str")
    copies = pd.concat([spans.assign(trace_id=runs), spans.assign(trace_id="copy of " + runs)], ignore_index=True)
    totals = SideTotals(copies, dict.fromkeys(runs, "old") | dict.fromkeys("copy of " + runs, "new"), None)
    for metric in METRIC_COLUMNS if len(spans) else ():
        old, new = totals.whole["old"][metric], totals.whole["new"][metric]
        assert old == new
        assert parse_rule(f"{metric} > +0%").holds(new, old) is not True
