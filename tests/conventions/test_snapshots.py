import pytest

from tokenvis.conventions.opentelemetry import span_of

REAL, ABOVE = "00000000000000aa", "00000000000000bb"


class Names(dict):
    without_texts = False

    def name_trace(self, trace_id, name, start=None):
        self[trace_id] = name


def pending(parent=REAL, name="chat (pending)", **attributes):
    attributes = {"logfire.span_type": "pending_span", **{key.replace("__", "."): value for key, value in attributes.items()}}
    names = Names()
    return span_of(names, "t", "00000000000000cc", parent, name, 5, 5, attributes), names


@pytest.mark.parametrize(
    ("above", "parent", "names"),
    [(ABOVE, f"t/{ABOVE}", {}), ("0" * 16, None, {"t": "chat"}), (None, None, {"t": "chat"}), (5.5, None, {"t": "chat"})],
)
def test_a_pending_span_is_its_real_span_without_an_end(above, parent, names):
    span, named = pending(logfire__pending_parent_id=above)
    assert (span.id, span.parent, span.start, span.end, span.name) == (f"t/{REAL}", parent, 5, None, "chat")
    assert (span.data["label"], span.data["kind"], span.data["attributes"]) == ("chat", "span", {"logfire.span_type": "span"})
    assert named == names


def test_a_pending_span_without_its_real_span_stays_as_it_is():
    span, _ = pending(parent=None)
    assert (span.id, span.end) == ("t/00000000000000cc", 5)


def test_a_pending_span_had_a_row_of_its_own_in_earlier_versions():
    assert pending()[0].former_id == "t/00000000000000cc"
    assert pending(parent=None)[0].former_id is None
