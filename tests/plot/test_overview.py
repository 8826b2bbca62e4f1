import matplotlib.pyplot as plt
import pytest
from conftest import seeded_database, spans_of

from tokenvis import Store, load_spans, palette, plot_overview


def workflow():
    return load_spans("multi-agent-workflow", store=Store(seeded_database(), create=False))


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
        "40 spans · 6 agents · 5 locations · 1m wall · 58.6 s active · 55% of that parallel · peak 4 · 1 error · 17.2k tokens"
    )
    assert [label.get_text() for label in lower.get_yticklabels()] == list(palette(workflow()["agent_id"]))
    assert len(plt.get_fignums()) == 1


def test_panels_are_aligned():
    figure = plot_overview(workflow())
    figure.canvas.draw()
    upper, middle, _ = (ax.get_position() for ax in figure.axes)
    assert (upper.x0, upper.x1) == pytest.approx((middle.x0, middle.x1))
    assert upper.y0 > middle.y1


def test_an_empty_trace_has_a_message():
    figure = plot_overview(spans_of("ann 0 1 desk").iloc[:0])
    assert [ax.get_label() for ax in figure.axes] == ["This trace is empty."] * 3


def test_filtering_keeps_the_colours():
    spans = workflow()
    figure = plot_overview(spans[spans["agent_id"] == "Reviewer"])
    [text] = figure.axes[0].get_legend().get_texts()[:1]
    assert text.get_text() == "Reviewer"
