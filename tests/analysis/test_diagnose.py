import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from pandas.testing import assert_frame_equal
from test_calls import frames_of_calls

from tokenvis import BadOption, diagnose
from tokenvis.spans.columns import empty_spans

COLUMNS = ["trace_id", "kind", "about", "n_spans", "time_us", "cost", "meaning", "span_ids"]
FAILED, TRIED = {"label": "try", "status": "error"}, {"label": "try"}


def test_nothing_to_report():
    table = diagnose(spans_of("ann 0 10 desk", "bob 5 12 desk").assign(data='{"links": ["a"]}'))
    assert table.columns.tolist() == COLUMNS
    assert table.empty
    assert diagnose(empty_spans()).dtypes.astype(str).tolist() == table.dtypes.astype(str).tolist()
    assert table.dtypes.astype(str).tolist() == ["category", *["str"] * 2, "int64", "Int64", "Float64", "str", "object"]


def test_rows_are_ordered_by_trace_then_doubts_then_the_time_that_behaviour_loses():
    rows = [row for time in range(0, 44, 4) for row in (f"ann {time} {time + 1} desk", f"ann {time + 1} {time + 2} lab")]
    spans = spans_of(*rows, "bob 0 9 lab", "bob 9 30 lab", "bob 30 31 lab")
    data = {"a": FAILED, "c": TRIED, "v": {"status": "open"}, "w": FAILED, "x": FAILED, "y": TRIED}
    spans = with_data(spans, **data).assign(links="a")
    table = diagnose(pd.concat([spans, spans.assign(trace_id="s")]))
    expected = [
        ["open", "data", 1, None, "v"],
        ["retry", "behaviour", 2, 30, "wx"],
        ["stall", "behaviour", 2, 28, "wx"],
        ["retry", "behaviour", 1, 1, "a"],
        ["return", "behaviour", 10, None, "cegikmoqsu"],
        ["return", "behaviour", 10, None, "dfhjlnprtv"],
    ]
    assert table["trace_id"].tolist() == ["s"] * 6 + ["t"] * 6
    columns = zip(*(table[name] for name in ("kind", "about", "n_spans", "time_us", "span_ids")), strict=True)
    found = [[*others, None if time is pd.NA else time, "".join(ids)] for *others, time, ids in columns]
    assert found == expected * 2


def test_loss_markers_take_no_part_in_behaviour():
    spans = with_data(spans_of("tokenvis 0 3 tokenvis.lost", "ann 0 2 lab", "ann 4 6 lab"), b=FAILED, c=TRIED)
    assert diagnose(spans)[["kind", "span_ids"]].to_numpy().tolist() == [["lost", ["a"]], ["retry", ["b"]]]


def test_integers_as_names_and_frames_without_data():
    spans = with_data(spans_of("7 0 2 8", "7 2 3 8"), a=FAILED, b=TRIED)
    numbers = spans.assign(agent_id=7, location_id=8, trace_id=1, id=[3, 4])
    [row] = diagnose(numbers).to_dict("records")
    assert (row["trace_id"], row["span_ids"], row["time_us"]) == ("1", [3], 2)
    assert row["meaning"].startswith("'7' tried 1 failed attempt at '8' again, and 0 of these failed again.")
    columns = numbers.assign(label="try", status=["error", "ok"]).drop(columns="data")
    assert diagnose(columns).equals(diagnose(numbers))
    assert diagnose(columns.drop(columns="label")).empty


def test_names_are_quoted_and_cut():
    agent = "$\\frac{" * 2000
    spans = with_data(spans_of("ann 0 2 lab", "ann 2 3 lab"), a=FAILED, b=TRIED).assign(agent_id=agent, location_id="\x1b[31m")
    [row] = diagnose(spans).to_dict("records")
    assert row["meaning"].startswith("'$\\\\frac{")
    assert "\x1b" not in row["meaning"]
    assert len(row["meaning"]) < 500


def test_prices_of_another_form_are_refused():
    with pytest.raises(BadOption) as error:
        diagnose(spans_of("ann 0 2 lab"), prices=7)
    assert str(error.value).startswith("prices=7 ")


@pytest.mark.laws
@given(frames_of_calls())
def test_each_trace_is_answered_alone(spans):
    traces = sorted(spans["trace_id"].unique())
    alone = [diagnose(spans[spans["trace_id"] == trace]) for trace in traces]
    together = pd.concat([table.astype({"trace_id": "str"}) for table in alone or [diagnose(spans)]], ignore_index=True)
    assert_frame_equal(diagnose(spans).astype({"trace_id": "str"}), together)
