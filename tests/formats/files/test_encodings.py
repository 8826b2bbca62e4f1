import json

import pytest
from files import write_file
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import ingest
from tokenvis.formats.files import encodings
from tokenvis.formats.files.encodings import encoding_of, file_encoding

TOLD = "x: is not UTF-8; it was read as Windows-1252, which contains Latin-1."
LATIN_LETTERS = "äöüßéèêàçñåøæÄÖÜÉÅØ"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (b"", "utf-8"),
        (b"plain", "utf-8"),
        ("é家🙂".encode(), "utf-8"),
        ("Café".encode("cp1252") + b" ", "cp1252"),
        (b"na\xef", "damaged utf-8"),  # a character of UTF-8 may be cut at the end
        ("é".encode() + b" \xe9 ", "damaged utf-8"),
        ("é ".encode("cp1252") + "é".encode(), "damaged utf-8"),
        ("家".encode()[:2], "damaged utf-8"),
        (b"a\xff ", "damaged utf-8"),
        (b"\x12\xe9", "damaged utf-8"),
        (b"\xe9\0 ", "damaged utf-8"),
    ],
)
@pytest.mark.parametrize("block", [2, 3, 1_000])
def test_the_encoding_of_a_text(text, encoding, block, monkeypatch):
    monkeypatch.setattr(encodings, "ENCODING_BLOCK_BYTES", block)
    assert file_encoding(write_file("x", text)) == encoding


@pytest.mark.laws
@given(st.text(st.sampled_from(f"ab \n{LATIN_LETTERS}"), max_size=20), st.text(max_size=20), st.integers(1, 5))
def test_each_encoding_is_found_in_blocks_of_any_size(latin, other, size):
    for text, encoding in ((other.encode(), "utf-8"), (f"{latin} ".encode("cp1252"), "cp1252")):
        found = encoding_of(text[place : place + size] for place in range(0, len(text), size))
        assert found == ("utf-8" if text.isascii() else encoding)


def test_json_in_latin_1_is_read_as_such_and_told_once():
    rows = [
        {"agent_id": name, "location_id": "Café", "start_time": number, "end_time": number + 1}
        for number, name in enumerate(["José", "Åse", "Ann"])
    ]
    for text in (
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        json.dumps(rows, indent=1, ensure_ascii=False),
    ):
        report = ingest(write_file("x", text.encode("cp1252")), store="x.db")
        assert report.spans()["agent_id"].tolist() == ["José", "Åse", "Ann"]
        assert set(report.spans()["location_id"]) == {"Café"}
        assert [str(problem) for problem in report.problems] == [TOLD]


def test_a_damaged_character_of_utf_8_is_not_taken_for_latin_1():
    rows = [{"agent_id": name, "location_id": "x", "start_time": 0, "end_time": 1} for name in ("家", "Ann")]
    whole = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode().replace(b"Ann", b"An\xc3")
    report = ingest(write_file("x", whole), store="x.db")
    assert report.spans()["agent_id"].tolist() == ["An\ufffd", "家"]
    assert [str(problem) for problem in report.problems] == ["x, line 2: invalid UTF-8 was replaced by U+FFFD."]


def test_a_table_in_latin_1_is_recognised():
    text = "agent_id,location_id,start_time,end_time\nJosé,Café,0,1\n"
    report = ingest(write_file("x", text.encode("cp1252")), store="x.db")
    assert report.spans()[["agent_id", "location_id"]].values.tolist() == [["José", "Café"]]
    assert [str(problem) for problem in report.problems] == [TOLD]
