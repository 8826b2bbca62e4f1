import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.formats.files.path_cutter import PathCutter, Piece, Unbalanced
from tokenvis.formats.files.structure import BLANKS_AND_COMMAS


def texts_of(path, *blocks):
    cutter = PathCutter(path, exact=False)
    return [(piece.key, piece.text) for block in blocks for piece in cutter.pieces(block)], cutter.rest()


def texts_or_damage(path, *blocks):
    try:
        return texts_of(path, *blocks)
    except Unbalanced as damage:
        return damage.offset


def test_the_text_of_each_value_is_cut_out_as_it_is():
    assert texts_of("a[*]", b'{"x": [1], "a": [{"b" : [2', b"]}, 5, [6], [7] ]}") == (
        [(b"", b'{"b" : [2]}'), (b"", b", 5, [6], [7]")],
        b"",
    )
    assert texts_of("*", b'{"a": tr', b'ue, "b":"x', b'y" , "c": [', b"], }") == (
        [(b'"a"', b"true"), (b'"b"', b'"xy"'), (b'"c"', b"[]")],
        b"",
    )
    assert texts_of("", b'{"a":', b"1}{}", b" {") == ([(b"", b'{"a":1}'), (b"", b"{}")], b" {")


def test_long_numbers_and_depth_are_not_plain():
    cutter = PathCutter("[*]", exact=False)
    assert list(cutter.pieces(b"[[1], [2], [")) == [Piece(b"[1], [2]", is_plain=True, is_batch=True)]
    assert list(cutter.pieces(b"3], [4]")) == [
        Piece(b"[3]", is_plain=False),
        Piece(b", [4]", is_plain=True, is_batch=True),
    ]
    assert list(cutter.pieces(b", [12345678901234567890], []]")) == [
        Piece(b", [12345678901234567890]", is_plain=False),
        Piece(b", []", is_plain=False),
    ]


@pytest.mark.parametrize(("text", "offset"), [(b"[1}", 2), (b"[] x []", 5), (b"[]]", 2)])
def test_what_is_not_balanced_is_an_error_with_its_place(text, offset):
    with pytest.raises(Unbalanced) as error:
        texts_of("[*]", text)
    assert error.value.offset == offset


def without_separators(text):
    return text.translate(None, BLANKS_AND_COMMAS)


@pytest.mark.laws
@given(
    st.one_of(
        st.text('{}[]":, a1\\', max_size=40),
        st.lists(st.sampled_from(['"a":', "[", "]", "{", "}", ",", " ", '"a"', '"\\\\"', "1"]), max_size=20).map("".join),
    ).map(str.encode),
    st.integers(1, 50),
    st.sampled_from(["", "[*]", "*", "a", "a[*].a"]),
)
def test_pieces_of_any_text_in_any_blocks_are_those_of_the_whole_text_or_an_error(text, size, path):
    blocks = [text[first : first + size] for first in range(0, len(text), size)]
    found, whole = texts_or_damage(path, *blocks), texts_or_damage(path, text)
    if isinstance(whole, int):
        assert found == whole
        return
    pieces, rest = whole
    position = 0
    for _, piece in [*pieces, ("", rest)]:
        position = text.index(piece, position) + len(piece)
    assert [key for key, _ in found[0] if key] == [key for key, _ in pieces if key]
    cut, cut_whole = (b"".join(text for _, text in [*parts, ("", end)]) for parts, end in (found, whole))
    assert without_separators(cut) == without_separators(cut_whole)
