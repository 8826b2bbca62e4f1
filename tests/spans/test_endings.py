import pytest
from conftest import spans_with

from tokenvis.spans.endings import endings_of


def endings(*payloads):
    """How each span ended, as text."""
    found = endings_of(spans_with(*payloads))
    masks = {"failed": found.failed, "cancelled": found.cancelled, "open": found.is_open}
    return ["".join(name for name, mask in masks.items() if mask[row]) for row in range(len(payloads))]


def test_a_span_failed_is_open_or_was_cancelled_as_its_status_says():
    data = [{"status": status} for status in ("ok", "error", "open", "cancelled", "canceled", 3, None)]
    assert endings(*data, None) == ["", "failed", "open", "cancelled", "cancelled", "", "", ""]


@pytest.mark.parametrize("value", [True, 1, "true"])
def test_a_recorded_span_that_was_cancelled_is_marked(value):
    assert endings({"cancelled": value, "status": "ok"}, {"cancelled": False}) == ["cancelled", ""]
