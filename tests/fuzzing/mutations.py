"""Mutations: valid files changed in their structure, their encoding or their bytes."""

import copy
import json
import random
from contextlib import suppress

from damage import damaged

from fuzzing.json_text import Document
from fuzzing.spellings import NUMBERS, TEXTS, nested, unclosed

MAX_BYTES = 4 << 20
LINE_BREAKS = [b"\n", b"\r\n", b"\r", b"\n\n", b"\n\r", b"\x0b", b"\x0c", b"\x1c", b"\xc2\x85", b"\xe2\x80\xa8", b" ", b""]
ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7", "cp037", "latin-1"]
BYTE_ORDER_MARKS = [
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xff\xfe\0\0",
    b"\0\0\xfe\xff",
    b"\xef\xbb",
    b"\xef\xbb\xbf" * 2,
]
BAD_BYTES = [
    b"\0", b"\0" * 4_096, b"\xe9", b"x\xe9", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf8\x88\x80\x80\x80", b"\xf0\x9f\x98", b"\xff", b"\x1a", b"\x04", b"\x1b[2J", b"\x08", b"\xe2\x80\xae",
]  # fmt: skip


def changed_values(text, chance, others):
    """Values and bytes changed as in the quick tests of damage."""
    return damaged(text, chance.random())


def spelled(text, chance, others):
    """A value written as a number or text that parsers disagree on."""
    return with_spelling(text, chance, chance.choice([NUMBERS, TEXTS]))


def with_spelling(text, chance, spellings):
    """A text with one of its values written in one of these ways."""
    document = Document.parsed(text)
    if document is None or not (paths := document.paths()):
        start = chance.randrange(len(text) + 1)
        return text[:start] + chance.choice(spellings).strip(b'"') + text[start + chance.choice([0, 1, 5]) :]
    container, key = document.place_of(chance.choice(paths))
    container[key] = document.mark(chance.choice(spellings))
    return document.written()


def swapped_values(text, chance, others):
    """Two values in each other's place."""
    document = Document.parsed(text)
    if document is None or len(paths := document.paths()) < 2:
        return text
    one, other = (document.place_of(path) for path in chance.sample(paths, 2))
    one_value, other_value = copy.deepcopy(one[0][one[1]]), copy.deepcopy(other[0][other[1]])
    one[0][one[1]], container = other_value, other[0]
    if isinstance(container, dict) or other[1] < len(container):
        container[other[1]] = one_value
    return document.written()


def repeated_key(text, chance, others):
    """An object in which a key occurs again, with the value of another key."""
    document = Document.parsed(text)
    if document is None or not (objects := [found for found in document.objects() if found]):
        return text
    found = chance.choice(objects)
    key, other = chance.choice(list(found)), chance.choice(list(found))
    found[document.mark(json.dumps(key).encode())] = copy.deepcopy(found[other])
    return document.written()


def renamed_key(text, chance, others):
    """A key renamed or removed in all objects."""
    document = Document.parsed(text)
    keys = sorted({key for found in document.objects() for key in found}) if document else []
    if not keys:
        return text
    key, new = chance.choice(keys), chance.choice([None, "", "x", chance.choice(keys)])
    for found in document.objects():
        if key in found:
            value = found.pop(key)
            if new is not None:
                found[new] = value
    return document.written()


def nested_copy(text, chance, others):
    """A copy of a whole value inside itself."""
    document = Document.parsed(text)
    if document is None or not (paths := document.paths()):
        return text
    container, key = document.place_of(chance.choice(paths))
    container[key] = copy.deepcopy(chance.choice(document.values))
    return document.written()


def strange_nesting(text, chance, others):
    """A value nested around the limit of depth, or open to the end."""
    depth, kind = chance.choice([100, 190, 199, 200, 201, 250, 1_000]), chance.choice(["lists", "objects", "mixed"])
    return with_spelling(text, chance, [nested(depth, kind), unclosed(depth, kind), nested(depth, kind)[:-1]])


def moved_records(text, chance, others):
    """Records repeated, removed, or in another order."""
    document = Document.parsed(text)
    if document is None:
        lines = text.split(b"\n")
        chance.shuffle(lines)
        return b"\n".join(lines)
    records = document.records()
    action = chance.randrange(4)
    if action == 0:
        chance.shuffle(records)
    elif action == 1:
        records.reverse()
    elif action == 2:
        records *= chance.choice([2, 3, 50])
    elif records:
        del records[chance.randrange(len(records)) :: chance.randint(1, 3)]
    return document.written()


def mixed_records(text, chance, others):
    """Records of another file in the middle."""
    document, other = Document.parsed(text), Document.parsed(chance.choice(others))
    if document is None or other is None:
        return text + chance.choice(others)
    start = chance.randrange(len(document.records()) + 1)
    document.records()[start:start] = copy.deepcopy(chance.choice([other.values, other.records()]))
    return document.written()


def joined_files(text, chance, others):
    """Two files in a row, one of them perhaps cut."""
    parts = [text, chance.choice([text, chance.choice(others)])]
    chance.shuffle(parts)
    if chance.random() < 0.3:
        parts[0] = parts[0][: chance.randrange(len(parts[0]) + 1)]
    return chance.choice([b"", b"\n", b",", b"\0", b"\x1e", b" "]).join(parts)


def truncated(text, chance, others):
    """A file that ends after a token, or anywhere."""
    ends = [number + 1 for number, byte in enumerate(text) if byte in b'{}[]:,"\\\n']
    return text[: chance.choice(ends) if ends and chance.random() < 0.8 else chance.randrange(len(text) + 1)]


def other_line_breaks(text, chance, others):
    """Other line breaks, mixed or alike."""
    breaks = chance.choices(LINE_BREAKS, k=chance.choice([1, 3]))
    first, *rest = text.split(b"\n")
    return first + b"".join(chance.choice(breaks) + line for line in rest) + chance.choice([b"", *breaks])


def other_encoding(text, chance, others):
    """The text in another encoding, whole or from a place on, with the mark of any."""
    encoding, mark = chance.choice(ENCODINGS), chance.choice([b"", b"", *BYTE_ORDER_MARKS])
    start = 0 if chance.random() < 0.7 else chance.randrange(len(text) + 1)
    rest = text[start:].decode(errors="replace").replace("\ufffd", "?")
    return mark + text[:start] + rest.encode(encoding, errors="replace")


def bad_bytes(text, chance, others):
    """Bytes that are no text, at a few places."""
    for _ in range(chance.randint(1, 3)):
        start = chance.choice([0, len(text), chance.randrange(len(text) + 1)])
        text = text[:start] + chance.choice([*BAD_BYTES, *BYTE_ORDER_MARKS]) + text[start:]
    return text


def spliced(text, chance, others):
    """A part of another file in the place of a part."""
    other = chance.choice(others)
    start, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    first, last = sorted(chance.randrange(len(other) + 1) for _ in range(2))
    return text[:start] + other[first:last] + text[end:]


def flipped_bits(text, chance, others):
    """A few bits flipped, or bytes set to their least or greatest value."""
    changed = bytearray(text)
    for _ in range(min(len(text), chance.choice([1, 1, 4, 30]))):
        place = chance.randrange(len(changed))
        changed[place] = chance.choice([0, 255, 127, 128, changed[place] ^ (1 << chance.randrange(8))])
    return bytes(changed)


OF_BYTES = [changed_values, truncated, joined_files, other_line_breaks, other_encoding, bad_bytes, spliced, flipped_bits]
OF_STRUCTURE = [
    spelled, spelled, swapped_values, repeated_key, renamed_key, nested_copy, strange_nesting, moved_records, mixed_records,
]  # fmt: skip


def mutated(text: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """A file after one to three mutations; ``others`` are valid files of any format."""
    for _ in range(chance.choice([1, 1, 2, 3])):
        kinds = chance.choice([[changed_values], OF_STRUCTURE, OF_STRUCTURE, OF_BYTES])
        with suppress(RecursionError):  # after an earlier mutation it may be too deep for `json`
            text = chance.choice(kinds)(text, chance, others)[:MAX_BYTES]
    return text
