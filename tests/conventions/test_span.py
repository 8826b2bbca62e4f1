import pytest

from tokenvis.conventions.span import shorten


@pytest.mark.parametrize(
    ("text", "line"), [("a\n b", "a b"), ("abcdef", "abcdef"), ("abcdefg", "abcde…"), ("abcd fg", "abcd…")]
)
def test_a_text_on_one_line(text, line):
    assert shorten(text, 6) == line
