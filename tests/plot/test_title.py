import pickle

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import seeded_spans, spans_of

import tokenvis as tv
from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.artists.title import column_title, draw_title, share_text, short_number, trace_title


def test_large_numbers_are_short():
    assert [short_number(n) for n in (0, 999, 9_999, 12_345, 1_234_567, 12_900_000_000)] == [
        "0",
        "999",
        "9,999",
        "12.3k",
        "1.23M",
        "12.9G",
    ]
    assert [short_number(n, reference=20_000) for n in (0, 5_000, 20_000)] == ["0", "5k", "20k"]
    assert [short_number(n) for n in (999_499, 999_500, 999_999_999, 10**13)] == ["999k", "1M", "1G", "10,000G"]
    assert column_title("agent_id") == "agent"


def test_only_nothing_is_0_percent_and_only_all_is_100():
    shares = [share_text(share) for share in (0, 0.0001, 0.0049, 0.005, 0.5, 0.9949, 0.995, 0.9999, 1)]
    assert shares == ["0%", "<1%", "<1%", "<1%", "50%", "99%", ">99%", ">99%", "100%"]


def test_a_custom_title_stays():
    ax = tv.plot_timeline(seeded_spans("kitchen-sink"))
    ax.set_title("My title", loc="left")
    ax.figure.canvas.draw()
    assert ax.get_title(loc="left") == "My title"


def named_spans(folder):
    store = tv.Store(folder / "sqlite.db")
    for trace in ("t", "u"):
        spans = spans_of(f"ann 0 10 desk {trace}", f"bob 5 20 lab {trace}")
        store.write_trace(trace, spans.assign(id=trace + spans["id"]), name=f"Run {trace.upper()}")
    return tv.load_spans(store=store)


OPERATIONS = {
    "filter": lambda spans: spans[spans["agent_id"] == "ann"],
    "query": lambda spans: spans.query("start_time >= 0"),
    "concat": lambda spans: pd.concat([spans.iloc[:1], spans.iloc[1:]]),
    "merge": lambda spans: spans.merge(pd.DataFrame({"agent_id": ["ann", "bob"], "team": 1}), on="agent_id"),
    "sort": lambda spans: spans.sort_values("id", ascending=False).reset_index(drop=True),
    "group": lambda spans: dict(list(spans.groupby("trace_id", observed=True)))["t"],
    "expand_data": lambda spans: tv.expand_data(spans, "kind"),
    "self_spans": tv.self_spans,
    "texts": lambda spans: spans.astype({"trace_id": "str", "trace_name": "object"}),
    "pickle": lambda spans: pickle.loads(pickle.dumps(spans)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_title_is_the_name_of_the_trace_whatever_was_done_to_the_frame(operation, tmp_path):
    spans = OPERATIONS[operation](named_spans(tmp_path))
    spans = spans[spans["trace_id"] == "t"]
    assert tv.plot_timeline(spans).get_title(loc="left") == "Run T"
    assert tv.plot_occupancy(spans).get_label().startswith("Time of ")
    assert trace_title(spans) == "Run T"


def test_several_traces_are_counted_and_a_trace_without_a_name_has_its_id(tmp_path):
    spans = named_spans(tmp_path)
    assert trace_title(spans) == "2 traces"
    assert trace_title(spans[spans["trace_id"] == "u"].drop(columns="trace_name")) == "u"
    for no_name in (None, "", " \n"):
        assert trace_title(spans[spans["trace_id"] == "u"].assign(trace_name=no_name)) == "u"


def test_a_note_is_below_axes_without_labels():
    upper, lower = plt.subplots(2, 1, sharex=True, layout="constrained")[1]
    spans = spans_of("ann 5 5 desk")
    tv.plot_concurrency(spans, ax=upper)
    tv.plot_concurrency(spans, ax=lower)
    upper.tick_params(axis="x", labelbottom=False)
    upper.set_xlabel("")
    upper.figure.canvas.draw()
    [note] = [text for text in upper.texts if text.get_text().startswith("no span works")]
    assert note.get_window_extent().y1 < upper.bbox.y0


def test_a_title_that_is_wider_than_the_axes_begins_above_the_names_at_the_left():
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 2.6), layout="constrained")
    for ax, name in zip(axes, ["Nightly research run, with twelve agents", "short"], strict=True):
        ax.set_yticks([0.5], ["a long name of a location"])
        draw_title(ax, name, "details", LIGHT)
    figure.draw_without_rendering()
    long, short = axes
    assert long._left_title.get_text() == "Nightly research run, with twelve agents"
    assert long._left_title.get_window_extent().x0 == pytest.approx(long.get_yticklabels()[0].get_window_extent().x0, abs=2)
    assert short._left_title.get_window_extent().x0 == pytest.approx(short.bbox.x0, abs=2)
