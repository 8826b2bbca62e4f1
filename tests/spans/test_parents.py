from conftest import spans_with

from tokenvis.spans.parents import parents_of


def test_a_parent_is_a_text_at_the_top():
    spans = spans_with(
        '{"parent_id": "p"}',
        '{"parent_id": 7}',
        '{"label": "\\"parent_id\\""}',
        None,
        '{"attributes": {"parent_id": "q"}}',
        '["parent_id"]',
        '{"parent_id"',
    )
    assert parents_of(spans["data"]).fillna("-").tolist() == ["p", "-", "-", "-", "-", "-", "-"]
