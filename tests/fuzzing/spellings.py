"""Spellings of JSON values that parsers disagree on: numbers, texts, nestings, sizes."""

DIGITS = (19, 20, 25, 309, 4_300, 4_301, 100_000)
DEPTHS = (100, 200, 201, 1_000, 50_000, 500_000)

NUMBERS = [
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551615",
    b"18446744073709551616", b"1e18", b"1e19", b"1e308", b"1e309", b"1e400", b"-1e400", b"1e-400", b"5e-324", b"1E+999999999",
    b"1e-999999999", b"1e99999999999999999999", b"-0", b"-0.0", b"0e0", b"00", b"01", b"-01", b"1.", b".5", b"1.e5", b"1e",
    b"1e+", b"-", b"--1", b"+1", b"0x10", b"1_0", b"1,0", b"NaN", b"-NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"True",
    b"None", b"undefined", b"0.1e1", b"1234567890.123456789012345678901234567890", b"9007199254740993", b"4294967296",
    b"1e15", b"-1e15", *(b"9" * digits for digits in DIGITS[:-1]), *(b"-" + b"9" * digits for digits in DIGITS[:-1]),
    *(b"0." + b"0" * digits + b"1" for digits in DIGITS[:-1]), *(b"1" * digits + b".5" for digits in DIGITS[:-1]),
    *(b"0" * digits for digits in DIGITS[:-1]), b"1" + b"0" * 400 + b"e-400", b"0." + b"0" * 400 + b"1e400",
]  # fmt: skip
TEXTS = [
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\\u001b[2J"', b'"\\uFFFF"', b'"\\u12"',
    b'"\\x41"', b'"\\', b'"', b"'x'", b'"\x00"', b'"\n"', b'"\t"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xe0\x80\x80"',
    b'"\xf8\x88\x80\x80\x80"', b'"\xf4\x90\x80\x80"', b'"\xc3"', b'"\xff\xfe"', b'"x\xe9"', b'"\xef\xbf\xbd"',
    b'"\xe2\x80\xa8"', b'"0000-00-00T00:00:00Z"', b'"2026-13-45T99:99:99Z"', b'"2026-06-21"', b'"2026-06-21T24:00:00Z"',
    b'"2026-06-21T10:00:60Z"', b'"+275760-09-13T00:00:00Z"', b'"-0001-01-01T00:00:00Z"', b'"0001-01-01T00:00:00+14:00"',
    b'"9999-12-31T23:59:59-14:00"', b'"2026-06-21T10:00:00+99:99"', b'"2026-W25-7"', b'"20260621T100000"', b'"1e400"',
    b'"-1e400"', b'"1E+999999999"', b'"' + b"9" * 4_300 + b'"', b'"' + b"9" * 4_301 + b'"', b'"' + b"9" * 100_000 + b'"',
    b'"0.' + b"0" * 4_301 + b'1"', b'"\xef\xbc\x91\xef\xbc\x92"', b'"\xd9\xa3"', b'"\xc2\xb2"', b'"1_000"', b'" 5 "',
    b'"0x10"', b'"-"', b'"."', b'"1."', b'"NaN"', b'"Infinity"', b'"-5"', b'"[' + b"[" * 300 + b'"', b'"{\\"a\\": 1e999}"',
    b'"[9' + b"9" * 4_301 + b']"', b'"{' + b'\\"a\\":{' * 300 + b'"', b'"' + b"x" * 100_000 + b'"',
    b'"' + b"\\u00e9" * 10_000 + b'"', b'"' + b"\\\\" * 10_000 + b'"', b'"' + b"[{" * 10_000 + b'"',
]  # fmt: skip


def nested(depth, kind):
    """A value nested this deep: lists, objects or both."""
    if kind == "lists":
        return b"[" * depth + b"]" * depth
    if kind == "objects":
        return b'{"a":' * depth + b"1" + b"}" * depth
    return b'[{"a":' * (depth // 2) + b"1" + b"}]" * (depth // 2)


def unclosed(depth, kind):
    """The beginning of such a value."""
    return {"lists": b"[" * depth, "objects": b'{"a":' * depth, "mixed": b'[{"a":' * (depth // 2)}[kind]


def wide_object(n_keys):
    """An object with many keys."""
    return b"{" + b",".join(b'"key %d":%d' % (number, number) for number in range(n_keys)) + b"}"


def repeated_key(n_keys):
    """An object that repeats a key."""
    return b"{" + b",".join([b'"key":1'] * n_keys) + b"}"


def long_list(n_items, item=b"1"):
    """A list of many items."""
    return b"[" + b",".join([item] * n_items) + b"]"


def long_text(n_bytes, piece=b"x"):
    """A text of many bytes."""
    return b'"' + piece * (n_bytes // len(piece)) + b'"'
