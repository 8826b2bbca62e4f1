from hypothesis import given
from hypothesis import strategies as st

from tokenvis.commands.texts import WIDTH, display_width, name_cell, percent_text, table_lines, wrapped_lines


def test_columns_are_aligned_by_the_width_that_is_shown():
    assert table_lines([["run", "time"], ["漢字", "1 s"], ["e\u0301a", "12 s"]]) == [
        "run   time",
        "漢字   1 s",
        "e\u0301a    12 s",
    ]


@given(st.text(), st.integers(3, 20))
def test_a_name_fits_its_cell_and_is_harmless(name, width):
    cell = name_cell(name, width)
    assert display_width(cell) <= width
    assert "\x1b" not in cell
    assert len(cell.splitlines()) <= 1


@given(st.lists(st.text("ab c", max_size=30), min_size=1, max_size=40))
def test_long_texts_wrap(words):
    assert all(len(line) <= WIDTH for line in wrapped_lines(" ".join(words), "  "))


def test_only_nothing_and_all_are_0_and_100_percent():
    assert [percent_text(part, 10_000) for part in (0, 1, 5_000, 9_999, 10_000)] == ["0%", "<1%", "50%", ">99%", "100%"]
