import json
from decimal import Decimal

import pytest
from files import problem_texts, reading_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.formats.files.documents import document_items, document_members


def items_of(text, path="[*]", **options):
    reading = reading_of("x.json", text)
    return [value for _, value in document_items(reading, path, **options)], problem_texts(reading)


def nested(depth, value):
    for _ in range(depth):
        value = [value]
    return value


def test_the_items_of_a_document():
    text = b'{"other": [{"spans": 1}, "x"], "spans": [{"id": "a"}, [], 3, "x", null], "spans": {"id": "b"}, "s\\u0070ans": [5]}'
    assert items_of(text, "spans[*]") == ([{"id": "a"}, [], 3, "x", None, 5], [])
    assert items_of(
        b'[{"a": {"b": 1}}, {"a": [2]}, {"b": {"b": 3}}, {"c": "x", "a": {"c": 4, "b": 5}, "d": 6}]', "[*].a.b"
    ) == (
        [1, 5],
        [],
    )


def test_the_members_of_a_document():
    reading = reading_of("x.json", b'{"a": 1, "b\\n": {"c": [2]}, "": "x,", "n": null}')
    assert [pair for _, pair in document_members(reading)] == [("a", 1), ("b\n", {"c": [2]}), ("", "x,"), ("n", None)]


def test_a_member_with_a_damaged_key_is_a_problem_or_its_key_is_repaired():
    reading = reading_of("x.json", b'{"a": 1, "b\x01": 2, "\xff": 3, "\\ud800": 4, "c": 5}')
    assert [pair for _, pair in document_members(reading)] == [("a", 1), ("\ufffd", 3), ("\ufffd", 4), ("c", 5)]
    assert problem_texts(reading) == [
        "x.json, item 2: not JSON from character 3 on.",
        "x.json, item 3: invalid UTF-8 was replaced by U+FFFD.",
    ]


def test_integers_of_any_size_and_exact_times():
    text = b'[{"id": 273475590164507581703505203264503192396}, {"t": 1781293600000000.999}, {"u": 0.5}]'
    assert items_of(text)[0] == [{"id": 273475590164507581703505203264503192396}, {"t": 1781293600000001.0}, {"u": 0.5}]
    assert items_of(text, exact=True)[0][1:] == [{"t": Decimal("1781293600000000.999")}, {"u": 0.5}]


def test_several_documents_in_a_row():
    assert items_of(b'\xef\xbb\xbf{"a": 1}\n{\n"b": 2}{"c": [3]}', "") == ([{"a": 1}, {"b": 2}, {"c": [3]}], [])
    assert items_of(b'{"a": [1]}\n{"b": [2]}\n{"a": [3]}', "a[*]") == ([1, 3], [])


@pytest.mark.parametrize(
    ("text", "values", "problems"),
    [
        (b'[{"a": 1}, {"a": 2}, {"a": 3', [{"a": 1}, {"a": 2}], [": is truncated; the complete part was read"]),
        (
            b'[{"a": 1},\n{"b": "2}, {"c": 3}]',
            [{"a": 1}],
            [": not JSON from line 2, character 14 on; the part before was read"],
        ),
        (b'[{"a": 1}]\nx', [{"a": 1}], [": not JSON from line 2, character 1 on; the part before was read"]),
        (b'[{"a": 1}}, {"b": 2}]', [{"a": 1}], [": not JSON from line 1, character 10 on; the part before was read"]),
        (b'[{"a": 1}, {"b", 2}, {"c": 3}]', [{"a": 1}, {"c": 3}], [", item 2: not JSON from character 5 on"]),
        (b"[1,\n2, }, 3]", [], [": not JSON from line 2, character 4 on; the part before was read"]),
        (b"[1, NaN, 2]", [1, None, 2], [", item 1: NaN is not valid JSON, replaced by null"]),
        (b'["NaN", -Infinity, {}]', ["NaN", None, {}], [", item 1: -Infinity is not valid JSON, replaced by null"]),
        (b'[{}, {"a": "\xff"}, 2]', [{}, {"a": "\ufffd"}, 2], [", item 2: invalid UTF-8 was replaced by U+FFFD"]),
        (b'[{}, {"a": 1e400}]', [{}, {"a": None}], [", item 2: 1e400 is too large, replaced by null"]),
    ],
)
def test_damage_is_a_problem_and_the_rest_is_read(text, values, problems):
    assert items_of(text) == (values, [f"x.json{problem}." for problem in problems])


@pytest.mark.parametrize("before", [0, 300_000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_any_length_is_kept_or_a_problem(before, sign):
    for n_digits, value in [
        (19, int(f"{sign}{'9' * 19}")),
        (4_300, int(f"{sign}{'9' * 4_300}")),
        (4_301, None),
        (300_000, None),
    ]:
        text = f'{{"x": "{"x" * before}", "spans": [{{"a": 1}}, {{"b": [{sign}{"9" * n_digits}]}}, {{"c": 3}}]}}'.encode()
        assert items_of(text, "spans[*]") == (
            [{"a": 1}, {"b": [value]}, {"c": 3}],
            []
            if value
            else [f"x.json, item 2: a number of {n_digits + len(sign):,} characters is too large, replaced by null."],
        )


@pytest.mark.parametrize("depth", [200, 5_000, 500_000])
def test_depth_is_a_problem_of_one_item(depth):
    deep = "[" * depth + "]" * depth
    [first, second, third], problems = items_of(f'[{{"a": 1}}, {{"x": {deep}, "y": [{deep}]}}, {{"c": 3}}]'.encode())
    assert (first, third) == ({"a": 1}, {"c": 3})
    assert json.dumps(second) == json.dumps({"x": nested(199, None), "y": nested(199, None)})
    assert problems == ["x.json, item 2: nested more than 200 levels deep, replaced by null there."]


def test_an_item_that_is_truncated_and_too_deep_is_a_problem():
    assert items_of(b'[{"a": 1}, ' + b"[" * 5_000) == (
        [{"a": 1}],
        [
            "x.json, item 2: cannot be read (nested more than 200 levels deep).",
            "x.json: is truncated; the complete part was read.",
        ],
    )
    assert items_of(b'[{"a": 1}, [')[1] == ["x.json: is truncated; the complete part was read."]


def test_what_is_too_long_or_has_too_many_values_is_a_problem_of_one_item(monkeypatch):
    monkeypatch.setattr("tokenvis.formats.files.path_cutter.MAX_RECORD_BYTES", 500_000)
    monkeypatch.setattr("tokenvis.formats.files.lenient_json.MAX_JSON_VALUES", 100_000)
    wide, long = "[1" + ",1" * 200_000 + ", 1]", json.dumps("x" * 600_000)
    assert items_of(f'[{{"a": {wide}}}, {{"b": {long}}}, {{"c": ",,"}}]'.encode()) == (
        [{"c": ",,"}],
        [
            "x.json, item 1: cannot be read (of more than 100,000 values).",
            "x.json, item 2: is longer than 134,217,728 bytes; it was skipped.",
        ],
    )


def test_a_document_of_nothing_but_damage_is_not_read_to_its_end():
    assert items_of(b"[" + b"{x}, " * 200 + b"1]")[1][-2:] == [
        "x.json, item 100: not JSON from character 2 on.",
        "x.json: is not JSON from item 1 on; the part before was read.",
    ]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.sampled_from(['"', "\\", "[", "]}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.laws
@given(st.lists(JSON, max_size=4), st.booleans(), st.integers(1, 9))
def test_a_document_is_read_as_json_is(tmp_path_factory, values, indent, block_bytes):
    folder = tmp_path_factory.mktemp("documents")
    document = {"x": values, "a": {"spans": values, "b": values}, "b": values}
    reading = reading_of(folder / "x.json", json.dumps(document, indent=2 if indent else None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tokenvis.formats.files.documents.JSON_BLOCK_BYTES", block_bytes)
        assert [value for _, value in document_items(reading, "a.spans[*]")] == values
        assert [pair for _, pair in document_members(reading)] == list(document.items())
    assert problem_texts(reading) == []
