import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.spans.buffers import contain_any, rows_with, text_sizes, text_slices, texts_at

CHUNKED = pa.chunked_array([["a.b", None, ""], [], ["é", "x" * 10_000]], pa.large_string())
WORDS = ["a", "b.", "$\\frac{", "\n", "\x00", "é", "|", "\\", "[^"]


def test_words_are_found_literally():
    assert rows_with(CHUNKED, "a.b").tolist() == [0]
    assert rows_with(CHUNKED, "a?b").tolist() == []
    assert rows_with(CHUNKED, "é", "a").tolist() == [0, 3]
    assert rows_with(CHUNKED, "x" * 10_000).tolist() == [4]
    assert rows_with(CHUNKED).tolist() == []
    assert not contain_any(CHUNKED, "\ud83d", "y")


def test_a_slice_is_searched_without_the_rest_of_its_array():
    texts = pa.array(["a", "b", None, "c"], pa.large_string()).slice(1, 2)
    assert [contain_any(texts, word) for word in "abc"] == [False, True, False]
    assert not contain_any(texts.slice(1), "b")


@pytest.mark.laws
@given(
    st.lists(st.none() | st.lists(st.sampled_from(WORDS), max_size=3).map("".join), max_size=5),
    st.lists(st.sampled_from(WORDS)),
)
def test_the_rows_with_words_are_those_that_contain_one(texts, words):
    expected = [row for row, text in enumerate(texts) if text is not None and any(word in text for word in words)]
    assert rows_with(pa.array(texts, pa.large_string()), *words).tolist() == expected


@pytest.mark.parametrize(
    "texts", [CHUNKED, CHUNKED.slice(0, 4), CHUNKED.cast(pa.string()), CHUNKED.chunk(2), pa.array([None], pa.large_string())]
)
def test_slices_and_copies_are_the_texts(texts):
    values = [text if text is None else text.encode() for text in texts.to_pylist()]
    for rows in (np.arange(len(texts)), np.arange(0, len(texts), 3), np.arange(len(texts) - 1, len(texts))):
        expected = [values[row] for row in rows.tolist()]
        assert [text if text is None else bytes(text) for text in text_slices(texts, rows)] == expected
        assert texts_at(texts, rows).cast(pa.large_binary()).to_pylist() == expected
    assert list(text_slices(texts, np.array([], dtype=np.int64))) == []
    assert text_sizes(texts).tolist() == [len(value or b"") for value in values]
