import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption
from tokenvis.output import FORMULA_STARTS, atomic_write, escape_cell, one_line, unescape_cell, writable_path


def test_a_file_appears_only_after_a_complete_write():
    with atomic_write(writable_path("a.txt")) as file:
        file.write(b"whole")
        assert not Path("a.txt").exists()
    assert Path("a.txt").read_bytes() == b"whole"
    assert [path.name for path in Path().iterdir()] == ["a.txt"]


def test_an_error_leaves_the_existing_file_unchanged():
    Path("a.txt").write_text("before")
    Path("a.txt").chmod(0o600)
    with pytest.raises(TypeError), atomic_write(Path("a.txt")) as file:
        file.write("no bytes")
    assert (Path("a.txt").read_text(), [path.name for path in Path().iterdir()]) == ("before", ["a.txt"])
    with atomic_write(Path("a.txt")) as file:
        file.write(b"after")
    assert (Path("a.txt").read_text(), stat.S_IMODE(Path("a.txt").stat().st_mode)) == ("after", 0o600)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (5, "path=5 is not a path."),
        (".", "path='.' is a folder."),
        ("no/a", "path='no/a': the folder 'no' does not exist. Create it first."),
        ("a\0", "path='a\\x00' contains a null character, which is not allowed in a path."),
    ],
)
def test_an_impossible_path_is_refused(path, message):
    with pytest.raises(BadOption) as raised:
        writable_path(path)
    assert str(raised.value) == message


def test_an_unwritable_path_is_refused():
    with pytest.raises(BadOption, match=r"^path='/proc/a' cannot be written: "), atomic_write(Path("/proc/a")):
        pass


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("-5", "'-5"), ("\tx", "'\tx"), ("'", "''"), ("'=x", "''=x"), ("", "'"), ("a=b", "a=b"), ("é", "é")],
)
def test_a_text_becomes_a_cell_and_back(text, cell):
    assert (escape_cell(text), unescape_cell(cell)) == (cell, text)


def test_a_cell_of_another_program_is_unchanged():
    assert [unescape_cell(cell) for cell in ("'80s", "it's", "=1", "")] == ["'80s", "it's", "=1", ""]


@pytest.mark.laws
@given(st.text(alphabet="'=+-@\t\rab", max_size=5))
def test_no_cell_is_a_formula_and_every_text_is_restored(text):
    assert escape_cell(text)[:1] not in {*FORMULA_STARTS}
    assert unescape_cell(escape_cell(text)) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("plain, é, 漢字", "plain, é, 漢字"),
        ("a\r\nb\tc", "a  b c"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("a\u202eb\u2028c\x00", "a\ufffdb\ufffdc\ufffd"),
        ("\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f3f3\ufe0f\u200d\U0001f308"),
        ("x" * 201, "x" * 200 + "…"),
        ("\ud800", "\ufffd"),
    ],
)
def test_one_line_has_only_visible_characters(text, line):
    assert one_line(text) == line
