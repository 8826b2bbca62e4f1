import matplotlib.pyplot as plt
import pytest
from conftest import spans_of, with_data

from tokenvis.plot.still import still

PNG = b"\x89PNG"
SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 20 lab"), a={"kind": "tool"})


@pytest.mark.parametrize("by", ["location_id", "agent_id", "kind"])
def test_a_still_is_a_png_by_any_key_and_leaves_no_figure(by):
    assert still(SPANS, by=by, hue="kind").startswith(PNG)
    assert plt.get_fignums() == []


def test_the_same_spans_give_the_same_bytes():
    assert still(SPANS, by="location_id", hue="agent_id") == still(SPANS, by="location_id", hue="agent_id")


def test_no_spans_are_a_picture_too():
    assert still(SPANS.iloc[:0], by="location_id", hue="agent_id").startswith(PNG)
