import matplotlib.pyplot as plt
import pytest
from conftest import spans_of, with_data
from matplotlib.figure import Figure

from tokenvis.plot.still import timeline_png

PNG = b"\x89PNG"
SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 20 lab"), a={"kind": "tool"})


@pytest.mark.parametrize("by", ["location_id", "agent_id", "kind"])
def test_a_still_is_a_png_by_any_key(by):
    assert timeline_png(SPANS, by=by, hue="kind").startswith(PNG)


def test_pyplot_never_knows_the_figure_of_a_still(monkeypatch):
    known = []
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: known.append(plt.get_fignums()))
    monkeypatch.setattr(plt, "figure", None)
    timeline_png(SPANS, by="location_id", hue="agent_id")
    assert known == [[]]


def test_the_same_spans_give_the_same_bytes():
    assert timeline_png(SPANS, by="location_id", hue="agent_id") == timeline_png(SPANS, by="location_id", hue="agent_id")


def test_an_empty_frame_has_a_picture():
    assert timeline_png(SPANS.iloc[:0], by="location_id", hue="agent_id").startswith(PNG)
