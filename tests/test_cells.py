import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.cells import RUN, defused, restored


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("-5", "'-5"), ("\tx", "'\tx"), ("'", "''"), ("'=x", "''=x"), ("", ""), ("a=b", "a=b"), ("é", "é")],
)
def test_a_text_as_a_cell_and_back(text, cell):
    assert (defused(text), restored(cell)) == (cell, text)


def test_a_cell_that_another_program_wrote_stays():
    assert [restored(cell) for cell in ("'twas", "it's", "=1", "'")] == ["'twas", "it's", "=1", "'"]


@pytest.mark.laws
@given(st.text(alphabet="'=+-@\t\rab", max_size=5))
def test_no_text_is_run_and_every_text_comes_back(text):
    assert defused(text)[:1] not in {*RUN}
    assert restored(defused(text)) == text
