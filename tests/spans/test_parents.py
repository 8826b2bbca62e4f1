import pandas as pd
from conftest import spans_of

from tokenvis.spans.parents import parents_of


def with_data(*payloads):
    """A frame with these payloads: JSON text, a mapping, or None."""
    spans = spans_of(*(f"ann {n} {n + 1} desk" for n in range(len(payloads))))
    spans["data"] = pd.Series(payloads, dtype="str" if all(p is None or isinstance(p, str) for p in payloads) else "object")
    return spans


def test_a_parent_is_a_text_at_the_top():
    spans = with_data(
        '{"parent_id": "p"}',
        '{"parent_id": 7}',
        '{"label": "\\"parent_id\\""}',
        None,
        '{"attributes": {"parent_id": "q"}}',
        '["parent_id"]',
        '{"parent_id"',
    )
    assert parents_of(spans["data"]).fillna("-").tolist() == ["p", "-", "-", "-", "-", "-", "-"]
