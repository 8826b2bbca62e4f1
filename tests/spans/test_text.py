import pandas as pd
import pytest

from tokenvis.spans.text import encodable, text_column


@pytest.mark.parametrize(("text", "can_be"), [("", True), ("é 漢字 \U0001f3f3", True), ("\x00", True), ("a\ud800", False)])
def test_a_lone_surrogate_cannot_be_encoded(text, can_be):
    assert encodable(text) is can_be


def test_a_column_of_texts_allows_none_and_replaces_lone_surrogates():
    column = text_column(["a", None, "b\udfff"], pd.Index([3, 1, 2]))
    assert column.dtype == "str"
    assert column.isna().tolist() == [False, True, False]
    assert column.loc[[3, 2]].tolist() == ["a", "b\ufffd"]


def test_an_empty_list_gives_an_empty_column():
    assert text_column([], pd.RangeIndex(0)).dtype == "str"
