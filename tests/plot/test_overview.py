import matplotlib.pyplot as plt
import pytest
from conftest import seeded_spans, spans_of, with_data

from tokenvis import palette, plot_overview
from tokenvis.plot.overview import wrapped


def workflow():
    return seeded_spans("multi-agent-workflow")


def test_the_overview_combines_three_pictures_on_one_time_axis():
    figure = plot_overview(workflow())
    upper, middle, lower = figure.axes
    assert upper.get_xlim() == middle.get_xlim()
    for _ in range(2):
        figure.canvas.draw()
    assert [ax.get_title(loc="left") for ax in (middle, lower)] == ["", ""]
    assert upper.get_title(loc="right") == ""
    assert upper.get_shared_x_axes().joined(upper, middle)
    assert figure.get_suptitle() == "multi-agent-workflow"
    assert upper.get_title(loc="left") == (
        "40 spans · 6 agents · 5 locations · 1m wall · 58.6 s active, two or more at once for 55% of it"
        " · peak 4 · 1 error · 17.2k tokens"
    )
    assert [label.get_text() for label in lower.get_yticklabels()] == list(palette(workflow()["agent_id"]))
    assert len(plt.get_fignums()) == 1


def test_panels_are_aligned():
    figure = plot_overview(workflow())
    figure.canvas.draw()
    upper, middle, _ = (ax.get_position() for ax in figure.axes)
    assert (upper.x0, upper.x1) == pytest.approx((middle.x0, middle.x1))
    assert upper.y0 > middle.y1


def test_a_frame_without_spans_has_a_message():
    figure = plot_overview(spans_of("ann 0 1 desk").iloc[:0])
    assert [ax.get_label() for ax in figure.axes] == ["No span is left of trace 't': the frame is empty after a filter."] * 3


def test_filtering_keeps_the_colours():
    spans = workflow()
    figure = plot_overview(spans[spans["agent_id"] == "Reviewer"])
    [text] = figure.axes[0].get_legend().get_texts()[:1]
    assert text.get_text() == "Reviewer"


def test_the_key_numbers_tell_work_from_waiting():
    spans = spans_of("ann 0 100 desk", "ann 20 80 tool:ask", "bob 90 95 lab", parents={"b": "a", "c": "a"})
    spans = with_data(
        spans.assign(start_time=spans["start_time"] * 10**6, end_time=spans["end_time"] * 10**6), b={"waits_for": True}
    )
    figure = plot_overview(spans)
    assert figure.axes[0].get_title(loc="left") == (
        "3 spans · 2 agents · 3 locations · 1m 40s wall · 40 s active, two or more at once for 0% of it"
        " · waits for a person for 1m · peak 1"
    )
    assert [ax.get_title(loc="right") for ax in figure.axes[1:]] == [
        "spans working at once, by agent; waiting below 0",
        "working time of each agent at each location",
    ]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_key_numbers_that_do_not_fit_on_a_line_take_two():
    assert wrapped(["40 spans", "6 agents"], 200) == "40 spans · 6 agents"
    assert wrapped(["40 spans", "6 agents", "5 locations", "peak 4"], 100) == "40 spans · 6 agents\n5 locations · peak 4"
