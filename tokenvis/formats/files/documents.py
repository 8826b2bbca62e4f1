"""Documents: the values under a path in a JSON document of any size, each parsed alone.

A path consists of keys and "[*]", which stands for the items of an array: ``resourceSpans[*].resource``; "*" at its end stands
for the members of an object, "a|b" for either key, and "!a|b" for every other. The empty path means the documents of a file,
which may follow one another. A damaged value becomes a problem, and the next one is read; damage around the values ends the
reading.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import orjson

from tokenvis.formats.files.lenient_json import MAX_RECORD_BYTES, UNREADABLE, parse_damaged, parse_json
from tokenvis.formats.files.lines import BOM
from tokenvis.formats.files.path_cutter import MEMBERS, PathCutter, Piece, Unbalanced
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.files.structure import BLANKS_AND_COMMAS, JSON_BLOCK_BYTES

END_OF_DATA = ("unexpected end of data", "failed to allocate memory")  # of `orjson`; the second for brackets only
CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
UNREADABLE_ONLY = (UNREADABLE,)
NO_PIECE = Piece(b"", is_plain=True)
MAX_UNREADABLE = 100  # values in a row; then the rest of a document is taken for damaged


def document_items(
    reading: Reading, path: str, source: Source | None = None, *, exact: bool = False
) -> Iterator[tuple[int, Any]]:
    """The number and value of each value under a path, in one JSON document or several in a row.

    If ``exact``, a number that a float would round is a `Decimal`. A damaged document yields the values before the damage; the
    damage is a problem.
    """
    for number, value, _ in parsed_pieces(PathCutter(path, exact=exact), reading, source or reading.source):
        yield number, value


def document_members(reading: Reading, path: str = MEMBERS) -> Iterator[tuple[int, tuple[str, Any]]]:
    """Each key and value of a document that is an object, or those under a path, numbered; a damaged key is a problem."""
    for number, value, key in parsed_pieces(PathCutter(path, exact=False), reading, reading.source):
        try:
            name = orjson.loads(key)
        except ValueError:
            name = parse_damaged(key, number, reading, reading.source)
        if name is not UNREADABLE:
            yield number, (name, value)


def document_envelopes(reading: Reading, prefix: str, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The values under some keys of each object under a path, without the rest of the objects; problems are not reported.

    An object begins with a key that the one before has already.
    """
    envelope: dict[str, Any] = {}
    for _, (key, value) in document_members(Reading(reading.source), prefix + "|".join(keys)):
        if key in envelope:
            yield envelope
            envelope = {}
        envelope[key] = value
    yield envelope


def parsed_pieces(cutter: PathCutter, reading: Reading, source: Source) -> Iterator[tuple[int, Any, bytes]]:
    """The number, value and key of each value that is cut out of a file."""
    number, n_unreadable, reading.record_noun = 0, 0, "item"
    for piece in file_pieces(cutter, reading, source):
        values, key = piece_values(piece, number + 1, reading, source, exact=cutter.exact), piece.key
        piece = NO_PIECE
        for value in values:
            number += 1
            if value is not UNREADABLE:
                n_unreadable = 0
                yield number, value, key
                continue
            n_unreadable += 1
            if n_unreadable == MAX_UNREADABLE:
                first = number + 1 - MAX_UNREADABLE
                reading.add_problem(None, f"is not JSON from item {first} on; the part before was read", source)
                return


def file_pieces(cutter: PathCutter, reading: Reading, source: Source) -> Iterator[Piece]:
    """The pieces that are cut out of a file; damage between them is a problem and ends the reading."""
    with source.path.open("rb") as file:
        skipped = len(BOM) if file.read(len(BOM)) == BOM else 0
        file.seek(skipped)
        try:
            while block := file.read(JSON_BLOCK_BYTES):
                yield from cutter.pieces(block)
                source.report_position(skipped + cutter.offset)
            yield from last_pieces(cutter, reading, source)
        except Unbalanced as error:
            place = place_in(source, skipped + error.offset)
            reading.add_problem(None, f"not JSON from {place} on; the part before was read", source)


def piece_values(piece: Piece, number: int, reading: Reading, source: Source, *, exact: bool) -> Iterable[Any]:
    """The values of a piece; of a batch with a damaged value, each by itself."""
    text = (piece.text or b"").lstrip(BLANKS_AND_COMMAS)
    try:
        if piece.is_batch:
            values: list[Any] = orjson.loads(b"[" + text + b"]")
            return values
        return (orjson.loads(text) if piece.is_plain else parse_json(text, exact=exact),)
    except ValueError:
        if piece.is_batch:
            pieces = enumerate(PathCutter("", exact=exact).pieces(text), number)
            return chain.from_iterable(piece_values(each, n, reading, source, exact=exact) for n, each in pieces)
        return damaged_values(piece, number, reading, source, exact=exact)


def damaged_values(piece: Piece, number: int, reading: Reading, source: Source, *, exact: bool) -> tuple[Any, ...]:
    """The values of a piece that is not the text of one valid value; what is wrong is a problem."""
    if piece.text is None:
        reading.add_problem(number, f"is longer than {MAX_RECORD_BYTES:,} bytes; it was skipped", source)
        return UNREADABLE_ONLY
    text = piece.text.strip(BLANKS_AND_COMMAS)
    if text.startswith((b"{", b"[")):
        return (parse_damaged(text, number, reading, source, exact=exact),)
    values = parse_damaged(b"[" + text + b"]", number, reading, source, exact=exact)
    return UNREADABLE_ONLY if values is UNREADABLE else tuple(values)


def last_pieces(cutter: PathCutter, reading: Reading, source: Source) -> Iterator[Piece]:
    """What follows the last complete value; `Unbalanced` if it is not JSON."""
    rest = cutter.rest()
    text = (rest or b"").lstrip(BLANKS_AND_COMMAS)
    if rest is None:
        yield Piece(None, is_plain=False)
    elif text and cutter.in_values:
        try:
            parse_json(text)
        except orjson.JSONDecodeError as error:
            if not error.msg.startswith(END_OF_DATA):
                n_valid = len(error.doc[: error.pos].encode(errors="surrogatepass"))
                raise Unbalanced(cutter.offset - len(text) + n_valid) from None
        except ValueError:
            yield Piece(text, is_plain=False)
        else:
            yield Piece(text, is_plain=False)
    elif text and cutter.is_complete:
        raise Unbalanced(cutter.offset - len(text))
    if not cutter.is_complete:
        reading.add_problem(None, "is truncated; the complete part was read", source)


def place_in(source: Source, offset: int) -> str:
    """The line and the character at a position in a file."""
    line, character, position = 1, 1, 0
    with source.path.open("rb") as file:
        while position < offset and (block := file.read(min(JSON_BLOCK_BYTES, offset - position))):
            position += len(block)
            *ended, rest = block.split(b"\n")
            line, character = line + len(ended), (1 if ended else character) + n_characters(rest)
    return f"line {line}, character {character}"


def n_characters(text: bytes) -> int:
    """The number of characters that begin in a UTF-8 text."""
    return len(text.translate(None, CONTINUATION_BYTES))
