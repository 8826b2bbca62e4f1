import json

import numpy as np
import pyarrow as pa
import pytest
from conftest import spans_with
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadSpan
from tokenvis.spans import json_columns, numbers, payload
from tokenvis.spans.json_columns import FLOAT64, INT64, numbers_in_texts

COST = "gen_ai.usage.cost"
VALUES = [
    *("0", "7", "-3", "-0", "3.0", "0.5", "-0.0", "1e3", "5e-324", "1e400", "01", "+1", "1.", ".5", "0x1", "-", "1e"),
    *("9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551616", "1e19"),
    *("null", "true", "NaN", "-NaN", "Infinity", "-Infinity", "Inf", "nul", "None", '"7"', '""', "'7'", "[]", "[7]", "[[7]]"),
    *(
        '"NaN"',
        '"a\\nb"',
        '"a\nb"',
        '"\\ud83d"',
        '"\\ud83d\\ude00"',
        '"\\u006e"',
        '"\\x"',
        '"{"',
        '"\x00"',
        '"é"',
        '"',
        "",
        "{",
    ),
    *('{"n": 1}', '{"n": null}', '{"n": 1, "n": 2}', '{"attributes": {"n": 8}}', "{}", '{"n": 1}, "n": 2'),
]
NAMES = ['"n"', f'"{COST}"', '"attributes"', '"label"', '"\\u006e"', '"n "', '""', "n"]
SPACES = ["", " ", "\n", "\r\n\t", "\x00", "\v", "/**/"]
ENDS = ["", "", "", " ", "\n", ",", "}", "{}", '\n{"n": 5}', "\x00", ', "n": 1', ', "label": {}', "NaN", "\ufeff"]


@st.composite
def objects(draw, values):
    """An object as text, with the wanted keys and others, not always valid."""
    space = st.sampled_from(SPACES) if draw(st.booleans()) else st.just("")
    members = draw(st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=4))
    return "{" + ",".join(f"{draw(space)}{name}{draw(space)}:{value}{draw(space)}" for name, value in members) + "}"


values = st.sampled_from(VALUES) | st.floats(allow_nan=False).map(json.dumps)
texts = st.tuples(st.sampled_from(ENDS), objects(values | objects(values)), st.sampled_from(ENDS)).map("".join)
counts = st.dictionaries(st.sampled_from(["n", COST]), st.none() | st.integers(-9, 9) | st.floats(0, 9))
ordinary = st.fixed_dictionaries({}, optional={"n": st.integers(0, 9), "attributes": counts}).map(json.dumps)


def answer(spans, keys):
    """All that `numbers_in` returns, with the sign of zeros, or its error."""
    try:
        found = numbers.numbers_in(spans, keys)
    except BadSpan as error:
        return str(error)
    columns = [
        (str(column.dtype), column.isna().tolist(), column.fillna(0).to_numpy().tobytes()) for column, *_ in found.values()
    ]
    return columns, [(rows.tolist(), invalid) for _, rows, invalid in found.values()]


@pytest.mark.laws
@given(
    first=st.lists(ordinary, min_size=1, max_size=3),
    rest=st.lists(ordinary | texts, min_size=1, max_size=3),
    chunk=st.sampled_from([20, 60, 10_000]),
    block=st.sampled_from([16, 64, 10_000]),
)
def test_arrow_finds_the_same_numbers_as_the_parser_of_payloads(first, rest, chunk, block):
    spans = spans_with(*first, *rest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_columns, "BLOCK_BYTES", block)
        patch.setattr(payload, "FIRST_PAYLOADS", len(first))
        patch.setattr(payload, "CHUNK_BYTES", chunk)
        by_arrow = [answer(spans, keys) for keys in (["n", COST], ["attributes", "n"])]
        patch.setattr(numbers, "numbers_in_texts", lambda texts, types: None)
        assert by_arrow == [answer(spans, keys) for keys in (["n", COST], ["attributes", "n"])]


names = st.sampled_from(["ok", "error", "", "é", "\x00", '"', "\N{GRINNING FACE}"])
statuses = st.fixed_dictionaries({}, optional={"status": names, "label": names, "m": st.none() | names})


@pytest.mark.laws
@given(
    first=st.lists(statuses.map(json.dumps), min_size=1, max_size=2),
    rest=st.lists(statuses.map(json.dumps) | objects(values).map(lambda text: text.replace('"n"', '"status"')), max_size=3),
    among=st.none() | st.sets(st.integers(0, 4)),
)
def test_arrow_finds_the_same_texts_as_the_parser_of_payloads(first, rest, among):
    spans = spans_with(*first, *rest)
    rows = None if among is None else np.array(sorted(row for row in among if row < len(spans)), dtype=np.int64)

    def found():
        try:
            result = payload.values_in(spans, "status", "label", among=rows)
        except BadSpan as error:
            return str(error)
        return {key: (rows_of_key.tolist(), repr(values)) for key, (rows_of_key, values) in result.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload, "FIRST_PAYLOADS", len(first))
        by_arrow = found()
        patch.setattr(payload, "values_in_texts", lambda texts, keys: None)
        assert found() == by_arrow


def read(*payloads, type_of_n=INT64):
    """The numbers under "n" in these texts, or None."""
    found = numbers_in_texts(pa.array(payloads, pa.large_string()), {"n": type_of_n})
    return None if found is None else found["n"].to_pylist()


def test_a_number_at_the_top_comes_before_one_in_attributes():
    rest = '"attributes": {"n": 2, "m": "x"}, "label": "\\u00e9 null"}'
    assert read('{"n": 1, ' + rest, "{" + rest, '{"n": 3}', "{}") == [1, 2, 3, None]
    assert read('{"n": 0.5, ' + rest, "{" + rest, type_of_n=FLOAT64) == [0.5, 2.0]


@pytest.mark.parametrize(
    "text",
    [
        *('{"n": 1.0}', '{"n": "1"}', '{"n": true}', '{"n": [1]}', '{"n": 9223372036854775808}', '{"n": 1, "n": 2}'),
        *('{"m": NaN}', '{"m": [-Infinity]}', '{"m": 1e400}', '{"m": "\\ud83d"}', '{"attributes": [{"n": 1}]}'),
        *("", "null", '[{"n": 1}]', ' {"n": 1}', '{"n": 1}\n', '{"n": 1}, "m": {}', '{"n": 1}{"n": 2}', '{"n": 1}\x00{"n": 2}'),
        *('{"n": null, "attributes": {"n": 1}}', '{"\\u006e": null, "attributes": {"n": 1}}', '{"m": null, "o": "\\u006e"}'),
        *('{"m": ' + "[" * 1_001 + "]" * 1_001 + "}", '{"m": "' + "[" * 5_000 + '"}'),
    ],
    ids=lambda text: text[:40],
)
def test_an_unusual_text_is_left_to_the_parser_of_payloads(text):
    assert read('{"n": 1}', '{"m": "NaN"}', text) is None


@pytest.mark.parametrize("number", ["-0", "-0.0", "9223372036854775808", "-9223372036854775809", "1e300"])
def test_a_float_that_may_be_an_integer_is_left_to_the_parser_of_payloads(number):
    assert read('{"n": ' + number + "}", type_of_n=FLOAT64) is None


@pytest.mark.parametrize("key", ["é", 'a"b', "a\\b", "a/b", "\ud83d", "attributes", "a\tb"])
def test_a_key_that_can_be_written_in_several_ways_is_left_to_the_parser_of_payloads(key):
    assert numbers_in_texts(pa.array(["{}"], pa.large_string()), {key: INT64}) is None


def test_a_text_may_be_longer_than_a_block(monkeypatch):
    monkeypatch.setattr(json_columns, "BLOCK_BYTES", 16)
    long = json.dumps({"m": "x" * 1_000, "n": 1})
    assert read(long, '{"n": 2}') == [1, 2]
    monkeypatch.setattr(json_columns, "MAX_TEXT_BYTES", 1_000)
    assert read(long, '{"n": 2}') is None


def test_all_texts_are_read_by_arrow_once_their_types_are_known(monkeypatch):
    payloads = [json.dumps({"attributes": {"n": number, COST: number / 8}}) for number in range(3_000)]
    read_by_arrow = []
    monkeypatch.setattr(
        numbers, "numbers_in_texts", lambda *found: read_by_arrow.append(numbers_in_texts(*found)) or read_by_arrow[-1]
    )
    found = numbers.numbers_in(spans_with(*payloads, None, "{}"), ["n", COST])
    assert [len(arrays["n"]) for arrays in read_by_arrow] == [3_000 - payload.FIRST_PAYLOADS]
    assert found["n"].column.dropna().tolist() == list(range(3_000))
    assert found[COST].column.dropna().tolist() == (np.arange(3_000) / 8).tolist()
