import pytest

from tokenvis.oneline import one_line


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
def test_a_text_is_one_line_of_characters_that_are_seen(text, line):
    assert one_line(text) == line
