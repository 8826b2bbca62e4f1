"""Bombs: inputs that are hostile by one property: digits, depth, length, width, keys, or the number of records.

A bomb has a ``size``, of which its time and memory should be linear functions. Most bombs are a value or a key, written into a
valid record of a format; others are a whole file. Each has four variants: the record is in the head of the file or past it, and
the format is recognised or given.
"""

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fuzzing.json_text import PAST_HEAD_BYTES, Document
from fuzzing.spellings import DEPTHS, DIGITS, long_list, long_text, nested, repeated_key, unclosed, wide_object

N_VARIANTS = 4
N_CHOICES = 5  # of the last records, one gets the bomb
MEGABYTE = 1 << 20
TINY = b'{"a":1}'


@dataclass(frozen=True)
class Bomb:
    """A bomb of a size in bytes, digits, levels or items, and the ``place`` where it is written.

    A "value" or a "key" is written in the place of one, an "end" is a value with which the file ends, a "rest" comes after a
    valid file, and a "file" is all there is.
    """

    size: int
    spelling: Callable[[int], bytes]
    place: str = "value"
    is_long: bool = False  # only in the long run


def digits(size, before=b"", after=b""):
    """A number of many digits."""
    return before + b"9" * size + after


def text_around(size, piece, before=b"", after=b""):
    """A piece repeated, between two others."""
    return before + piece * max(size // len(piece), 1) + after


def numbers():
    """Numbers of many digits, and extreme exponents."""
    for size in DIGITS:
        yield f"digits-{size}", Bomb(size, digits)
        yield f"negative-digits-{size}", Bomb(size, partial(digits, before=b"-"))
        yield f"text-of-digits-{size}", Bomb(size, partial(digits, before=b'"', after=b'"'))
        yield f"float-digits-{size}", Bomb(size, partial(digits, after=b".5"))
        yield f"fraction-digits-{size}", Bomb(size, partial(digits, before=b"0."))
        yield f"small-fraction-{size}", Bomb(size, partial(text_around, piece=b"0", before=b"0.", after=b"1"))
        yield f"digits-and-exponent-{size}", Bomb(size, partial(digits, after=b"e-5"))
        yield f"exponent-digits-{size}", Bomb(size, partial(digits, before=b"1e"))
    yield "exponent-400", Bomb(1, lambda _: b"1e400")
    yield "exponent-999999999", Bomb(1, lambda _: b"1E+999999999")
    yield "exponent-minus-999999999", Bomb(1, lambda _: b"1e-999999999")
    yield "text-of-an-exponent", Bomb(1, lambda _: b'"1E+999999999"')
    yield "list-of-long-numbers", Bomb(1_000, lambda size: long_list(size, b"9" * 4_301))


def nestings():
    """Values nested deeply, closed or not."""
    for depth in DEPTHS:
        for kind in ("lists", "objects", "mixed"):
            yield f"depth-{depth}-{kind}", Bomb(depth, partial(nested, kind=kind))
            yield f"depth-{depth}-{kind}-open", Bomb(depth, partial(unclosed, kind=kind), "end")
    yield "depth-only", Bomb(500_000, partial(nested, kind="lists"), "file")
    yield "depth-only-open", Bomb(1_000_000, partial(unclosed, kind="lists"), "file")
    yield "depth-only-objects-open", Bomb(300_000, partial(unclosed, kind="objects"), "file")
    yield "depth-in-text", Bomb(MEGABYTE, partial(text_around, piece=b"[{", before=b'"', after=b'"'))
    yield "depth-in-escaped-text", Bomb(MEGABYTE, partial(text_around, piece=b'\\"[{', before=b'"', after=b'"'))
    yield "depth-in-text-of-json", Bomb(100_000, partial(text_around, piece=b"[", before=b'"', after=b'"'))
    yield "depth-of-a-zigzag", Bomb(MEGABYTE, partial(text_around, piece=b"[[],", before=b"[", after=b"1"), "end")


def sizes():
    """Long texts, wide objects and lists."""
    yield "text-1MB", Bomb(MEGABYTE, long_text)
    yield "escapes-1MB", Bomb(MEGABYTE, partial(long_text, piece=b"\\u00e9"))
    yield "backslashes-1MB", Bomb(MEGABYTE, partial(long_text, piece=b"\\\\"))
    yield "quotes-1MB", Bomb(MEGABYTE, partial(long_text, piece=b'\\"'))
    yield "surrogates-1MB", Bomb(MEGABYTE, partial(long_text, piece=b"\\ud800"))
    yield "invalid-utf8-1MB", Bomb(MEGABYTE, partial(long_text, piece=b"\xff"))
    yield "emoji-1MB", Bomb(MEGABYTE, partial(long_text, piece=b"\xf0\x9f\x98\x80"))
    yield "nul-1MB", Bomb(MEGABYTE, partial(long_text, piece=b"\\u0000"))
    yield "text-open-1MB", Bomb(MEGABYTE, partial(text_around, piece=b"x", before=b'"'), "end")
    yield "text-open-backslashes-1MB", Bomb(MEGABYTE, partial(text_around, piece=b"\\", before=b'"'), "end")
    yield "text-64MB", Bomb(64 * MEGABYTE, long_text)
    yield "text-open-64MB", Bomb(64 * MEGABYTE, partial(text_around, piece=b"x", before=b'"'), "end")
    yield "text-256MB", Bomb(256 * MEGABYTE, long_text, is_long=True)
    yield "text-open-256MB", Bomb(256 * MEGABYTE, partial(text_around, piece=b"x", before=b'"'), "end", is_long=True)
    yield "key-1MB", Bomb(MEGABYTE, long_text, "key")
    yield "key-of-digits", Bomb(100_000, partial(digits, before=b'"', after=b'"'), "key")
    yield "key-of-surrogates", Bomb(MEGABYTE, partial(long_text, piece=b"\\ud800"), "key")
    yield "keys-100000", Bomb(100_000, wide_object)
    yield "keys-repeated-100000", Bomb(100_000, repeated_key)
    yield "items-1000000", Bomb(1_000_000, long_list)
    yield "objects-100000", Bomb(100_000, partial(long_list, item=TINY))
    yield "lists-300000", Bomb(300_000, partial(long_list, item=b"[]"))
    yield "constants-100000", Bomb(100_000, partial(long_list, item=b"NaN"))
    yield "blanks-1MB", Bomb(MEGABYTE, partial(text_around, piece=b" \n", after=b"1"))
    yield "commas-1MB", Bomb(MEGABYTE, partial(text_around, piece=b",", before=b"[", after=b"]"))


def files():
    """Whole files whose reading could take the square of their length, or as many problems."""
    pieces = {
        "lines-of-a-number": b"5\n", "empty-lines": b"\n", "empty-objects": b"{}\n", "words": b"x\n",
        "carriage-returns": b"\r", "blanks": b" ", "brackets-on-lines": b"[\n", "braces-on-lines": b"{\n", "quotes": b'"',
        "quotes-on-lines": b'"\n', "escaped-quotes": b'"\\', "open-texts": b'{"a":"\n', "open-objects": b'{"a":',
        "nul": b"\0", "commas": b",", "closing": b"]}", "long-comma-lines": b"a,b,c\n", "semicolons": b";;\n",
        "marks": b"\xef\xbb\xbf", "constants": b"NaN\n", "invalid-utf8": b"\xff", "documents": b"{} ", "open-words": b"nul",
        "minus": b"-", "colons": b'{"a"::\n', "slashes": b"//\n", "letters": b"x",
    }  # fmt: skip
    for name, piece in pieces.items():
        yield f"file-of-{name}", Bomb(MEGABYTE, partial(text_around, piece=piece), "file")
        yield f"rest-of-{name}", Bomb(MEGABYTE, partial(text_around, piece=piece, before=b"\n"), "rest")
    yield "file-of-many-lines", Bomb(1_000_000, lambda size: b"1\n" * size, "file")
    yield "file-of-nul-64MB", Bomb(64 * MEGABYTE, lambda size: bytes(size), "file")
    yield "file-of-letters-64MB", Bomb(64 * MEGABYTE, lambda size: b"x" * size, "file")
    yield "file-of-digits-1MB", Bomb(MEGABYTE, digits, "file")
    yield "file-of-an-open-list", Bomb(2 * MEGABYTE, partial(text_around, piece=b"9,", before=b"["), "file")
    yield "file-of-an-open-object", Bomb(2 * MEGABYTE, partial(text_around, piece=b'"a":9,', before=b"{"), "file")
    yield "csv-columns-100000", Bomb(100_000, lambda size: b",".join(b"c%d" % n for n in range(size)) + b"\n1,2\n" * 3, "file")
    yield "csv-alike-columns", Bomb(100_000, lambda size: b"start_time,agent_id" + b",start_time" * size + b"\n1,a\n", "file")
    yield "csv-open-quote", Bomb(8 * MEGABYTE, partial(text_around, piece=b"1,a\n", before=b'start_time,agent_id\n"'), "file")
    yield "csv-quotes", Bomb(2 * MEGABYTE, partial(text_around, piece=b'""', before=b'start_time,agent_id\n1,"'), "file")


BOMBS: dict[str, Bomb] = dict([*numbers(), *nestings(), *sizes(), *files()])


def exploded(bomb: Bomb, text: bytes, variant: int, chance: random.Random, size: int | None = None) -> bytes:
    """A file with a bomb in it; in a text that is no JSON it is at any place."""
    spelling = bomb.spelling(bomb.size if size is None else size)
    if bomb.place == "file":
        return spelling
    document = Document.parsed(text)
    if document is None:
        start = len(text) if bomb.place == "rest" else chance.randrange(len(text) + 1)
        return text[:start] + spelling + (b"" if bomb.place == "end" else text[start:])
    if variant % 2:
        document.grow(PAST_HEAD_BYTES)
    if bomb.place == "rest":
        return document.written() + spelling
    return planted(document, bomb.place, spelling, chance)


def planted(document: Document, place: str, spelling: bytes, chance: random.Random) -> bytes:
    """The text of a document in which a value or a key of one of the last records is written like this."""
    records = document.records()
    records[-N_CHOICES:] = [copy.deepcopy(record) for record in records[-N_CHOICES:]]  # a repeated record is one object
    record = chance.choice(records[-N_CHOICES:])
    container, key = chance.choice(list(places_in(record, place)))
    mark = document.mark(spelling)
    if place == "key":
        container[mark] = container.pop(key)
    else:
        container[key] = mark
    written = document.written()
    return written[: written.rindex(spelling) + len(spelling)] if place == "end" else written


def places_in(value, place):
    """The container and key of each value in a record; for the place "key" only those in objects."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(value, dict) or place != "key":
            yield value, key
        yield from places_in(inner, place)
