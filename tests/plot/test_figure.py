import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import spans_of, with_data

import tokenvis as tv
from tokenvis.plot.artists.figure import draw_empty
from tokenvis.plot.artists.style import LIGHT
from tokenvis.spans.columns import empty_spans
from tokenvis.spans.losses import LOST_LOCATION

SPANS = spans_of("ann 0 1 desk t", "bob 0 1 lab u")
LOST = with_data(spans_of(f"ann 0 1 {LOST_LOCATION} t"), a={"n_lost": 3})
ALL_LOST = "3 spans were lost while recording."


def test_the_height_of_a_new_figure_grows_with_the_lanes_up_to_a_page():
    heights = []
    for count in (1, 20, 60, 400):
        spans = spans_of(*(f"ann 0 9 room-{n}" for n in range(count)))
        heights.append(tv.plot_timeline(spans).figure.get_size_inches()[1])
    assert heights == sorted(heights)
    assert heights[-1] <= 15


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        (empty_spans(), "There are no spans."),
        (SPANS[:1].astype({"trace_id": "str"}).iloc[:0], "No span is left: the frame is empty after a filter."),
        (spans_of("ann 0 1 desk t").iloc[:0], "No span is left of trace 't': the frame is empty after a filter."),
        (SPANS.iloc[:0], "No span is left of 2 traces: the frame is empty after a filter."),
        (empty_spans().assign(trace_id=pd.Categorical([], ["t"])), "There are no spans in trace 't'."),
        (LOST, ALL_LOST),
        (SPANS, "Nothing to see."),
        (pd.concat([SPANS.assign(data=None), LOST]), "Nothing to see. 3 spans were lost while recording."),
    ],
)
def test_a_picture_without_content_says_why(spans, message):
    ax = plt.subplots()[1]
    draw_empty(ax, LIGHT, spans, reason="Nothing to see.")
    assert [text.get_text() for text in ax.texts] == [ax.get_label()] == [message]
    assert not any(spine.get_visible() for spine in ax.spines.values())


def test_a_message_with_a_long_name_fits_into_a_small_figure():
    spans = spans_of("ann 0 1 desk t").iloc[:0]
    spans["trace_id"] = spans["trace_id"].cat.rename_categories(["$\\frac{ " + "x" * 10_000])
    figure, ax = plt.subplots(figsize=(3.3, 2.6), layout="constrained")
    tv.plot_occupancy(spans, ax=ax)
    figure.canvas.draw()
    [text] = ax.texts
    assert "(10,008 characters): the frame is empty after a filter." in text.get_text()
    assert len(text._get_wrapped_text().splitlines()) > 2
