import base64
import gzip
import hashlib
import html.parser
import json
import re
import struct
from pathlib import Path

import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from waiting import MARKS, waiting_frames

import tokenvis as tv
from tokenvis import BadOption, ingest
from tokenvis.explorer.bundle import bundle
from tokenvis.explorer.keys import keys_in
from tokenvis.explorer.page import is_page, redacted_spans, write_page

SECRET = "the secret prompt"
SPANS = with_data(
    spans_of("ann 0 10 desk", "bob 5 20 lab", "ann 1 2 desk u"),
    a={"label": SECRET, "kind": "tool", "attributes": {"gen_ai.request.model": "m", "gen_ai.prompt": SECRET, "n": 3}},
    b={"status": "error"},
)


def blocks(path):
    """The unpacked blocks of a page, by name."""
    found = re.findall(r'<script type="text/plain" id="([\w-]+)">([^<]*)</script>', Path(path).read_text())
    return {name: gzip.decompress(base64.b64decode(text)) for name, text in found}


def contents(path):
    return json.loads(blocks(path)["contents"])


def test_a_page_contains_an_answer_to_each_question(tmp_path):
    page = write_page(SPANS, tmp_path / "a.html", content="full")
    first, second = contents(page)["contents"]
    assert (first["trace"], first["n"], second["trace"], second["n"]) == ("t", 2, "u", 1)
    assert set(first["blocks"]) == {"selection", "trace", "facts", "moves", "details-0"}
    assert set(first["keys"]) == {
        "label",
        "agent_id",
        "location_id",
        "status",
        "kind",
        "gen_ai.request.model",
        "gen_ai.prompt",
        "n",
    }
    details = json.loads(blocks(page)[first["blocks"]["details-0"]])
    assert [row["id"] for row in details] == ["a", "b"]
    assert json.loads(details[0]["data"])["label"] == SECRET
    whole = blocks(page)[first["blocks"]["trace"]]
    header = json.loads(whole[4 : 4 + struct.unpack("<I", whole[:4])[0]])
    assert [column["name"] for column in header["columns"]] == ["start", "duration", "agent_id", "location_id"]


def test_the_first_trace_opens_completely(tmp_path):
    opening = contents(write_page(SPANS, tmp_path / "a.html"))["opening"]
    assert opening == {
        "trace": "t",
        "steps": False,
        "fold": True,
        "state": {},
        "traces": [{"id": "t", "n": 2}, {"id": "u", "n": 1}],
    }


@pytest.mark.parametrize(("content", "n_found"), [("none", 0), ("short", 7), ("full", 7)])
def test_free_text_is_in_a_page_only_if_requested(tmp_path, content, n_found):
    page = write_page(SPANS, tmp_path / "a.html", content=content)
    everything = b"".join(blocks(page).values()) + Path(page).read_bytes()
    assert everything.count(SECRET.encode()) == n_found
    assert b"gen_ai.request.model" in everything


def test_user_columns_that_may_contain_texts_are_omitted(tmp_path):
    spans = SPANS.assign(note=SECRET, cost=[1, 2, 3], mixed=pd.Series([True, SECRET, None], dtype=object))
    keys = contents(write_page(spans, tmp_path / "a.html"))["contents"][0]["keys"]
    assert "cost" in keys
    assert not {"note", "mixed"} & set(keys)
    assert "note" in contents(write_page(spans, tmp_path / "a.html", content="full"))["contents"][0]["keys"]


def test_texts_in_fields_for_names_are_omitted(tmp_path):
    data = {
        "kind": SECRET * 20,
        "status": {"message": SECRET},
        "trigger": f"{SECRET}\nand",
        "links": [{"why": SECRET}],
        "attributes": {"gen_ai.tool.name": {"args": SECRET}, "gen_ai.request.prompt": SECRET, "gen_ai.request.model": "m"},
    }
    page = write_page(with_data(SPANS, a=data), tmp_path / "a.html")
    everything = b"".join(blocks(page).values())
    assert SECRET.encode() not in everything
    assert b"gen_ai.request.model" in everything


@pytest.mark.parametrize("content", ["none", "short", "full"])
def test_status_and_kind_are_in_a_page_from_data_and_from_columns(content):
    data = {"status": "error", "kind": "tool"}
    in_data = with_data(SPANS.drop(columns="data"), a=data)
    in_columns = SPANS.drop(columns="data").assign(**{name: [value, None, None] for name, value in data.items()})
    kept = [redacted_spans(spans, content) for spans in (in_data, in_columns)]
    assert [tv.summary(spans)["n_errors"].sum() for spans in kept] == [1, 1]
    assert [set(keys_in(spans)) >= {"status", "kind"} for spans in kept] == [True, True]


@pytest.mark.parametrize("content", ["none", "short", "full"])
def test_waits_are_in_a_page_from_data_and_from_columns(content):
    name = "Eve " * 60
    in_data = with_data(SPANS.drop(columns="data"), a={"waits_for": name, "detached": False})
    in_columns = SPANS.drop(columns="data").assign(
        waits_for=[name, None, None], detached=pd.array([False, None, None], "boolean")
    )
    for spans in (in_data, in_columns):
        kept = redacted_spans(spans, content)
        kept = tv.expand_data(kept, ["waits_for", "detached"]) if spans is in_data else kept
        assert kept["waits_for"].dropna().tolist() == [name]
        assert kept["detached"].dropna().tolist() == [False]


@pytest.mark.laws
@pytest.mark.parametrize("content", ["none", "short", "full"])
@given(spans=waiting_frames())
def test_spans_in_a_page_have_the_states_of_the_frame(content, spans):
    in_columns = tv.expand_data(spans, list(MARKS)).drop(columns="data")
    as_objects = in_columns.assign(**{key: in_columns[key].astype(object) for key in MARKS})
    shown = ["trace_id", "id", "start_time", "end_time", "state"]
    for frame in (spans, in_columns, as_objects):
        kept = tv.self_spans(redacted_spans(frame, content))[shown]
        pd.testing.assert_frame_equal(kept, tv.self_spans(spans)[shown])


def test_texts_in_columns_for_names_are_omitted():
    spans = SPANS.drop(columns="data").assign(status=[SECRET * 20, "ok", None], kind=[f"{SECRET}\nand", None, "tool"])
    kept = redacted_spans(spans, "none")
    assert kept["status"].fillna("-").tolist() == ["-", "ok", "-"]
    assert kept["kind"].fillna("-").tolist() == ["-", "-", "tool"]


def test_user_columns_of_numbers_and_times_are_kept(tmp_path):
    some = pd.Series([True, None, False], dtype=object)
    spans = SPANS.assign(day=pd.Timestamp("2026-06-21"), level=pd.Categorical([1, 2, 1]), on=True, some=some)
    assert {"day", "level", "on", "some"} <= set(contents(write_page(spans, tmp_path / "a.html"))["contents"][0]["keys"])


def test_a_page_opens_with_a_key_that_it_contains(tmp_path):
    spans = with_data(SPANS, a={"note": SECRET}).assign(team="a")
    for key, opened in {"note": None, "team": None, "kind": None, "agent_id": "agent_id"}.items():
        opening = {"steps": False, "fold": True, "state": {"by": key}}
        assert contents(write_page(spans, tmp_path / "a.html", opening=opening))["opening"]["state"].get("by") == opened


def test_short_texts_are_truncated(tmp_path):
    spans = with_data(SPANS, a={"prompt": "x" * 1000}).assign(note="x" * 1000)
    page = write_page(spans, tmp_path / "a.html", content="short")
    assert b"x" * 200 in b"".join(blocks(page).values())
    assert b"x" * 201 not in b"".join(blocks(page).values())


def test_the_security_policy_allows_only_the_pages_own_script_and_styles(tmp_path):
    text = Path(write_page(SPANS, tmp_path / "a.html")).read_text()
    rule = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    [styles] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    [script] = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" for part in (script, styles)]
    assert rule == (f"default-src 'none'; script-src {hashes[0]}; style-src {hashes[1]}; base-uri 'none'; form-action 'none'")
    assert script == bundle("page")
    assert not re.findall(r"""(?:src|href)\s*=""", text.replace(script, ""))


def test_the_same_spans_give_the_same_bytes(tmp_path):
    one, other = (Path(write_page(SPANS, tmp_path / name)).read_bytes() for name in ("a.html", "b.html"))
    assert one == other


def test_a_page_reports_its_size_and_content(tmp_path):
    page = write_page(SPANS, tmp_path / "a.html")
    size = (tmp_path / "a.html").stat().st_size
    assert (page.size, page.path) == (size, tmp_path / "a.html")
    assert str(page) == repr(page) == f"{tmp_path / 'a.html'}: {round(size / 1000)} kB, 3 spans, without free text"
    assert str(write_page(SPANS, tmp_path / "a.html", content="full")).endswith(", 3 spans, with all texts")
    assert is_page(tmp_path / "a.html")
    (tmp_path / "b.html").write_text("<html>")
    assert not is_page(tmp_path / "b.html")


def test_names_in_a_title_are_text(tmp_path):
    spans = SPANS.assign(trace_id="</title><script>alert(1)</script>\n" + "x" * 500)
    text = Path(write_page(spans, tmp_path / "a.html")).read_text()
    parser = html.parser.HTMLParser()
    tags = []
    parser.handle_starttag = lambda tag, _: tags.append(tag)
    parser.feed(text)
    assert tags.count("title") == 1
    assert "alert(1)" in re.search(r"<title>(.*?)</title>", text)[1]
    assert len(re.search(r"<title>(.*?)</title>", text)[1]) < 300


def test_an_empty_frame_makes_a_page(tmp_path):
    page = write_page(SPANS.iloc[:0], tmp_path / "a.html")
    assert contents(page) == {
        "opening": {"trace": None, "steps": False, "fold": True, "state": {}, "traces": []},
        "contents": [],
    }


def test_a_page_cannot_replace_a_folder(tmp_path):
    with pytest.raises(BadOption, match=r" is a folder\.$"):
        write_page(SPANS, tmp_path)


def test_details_are_in_blocks_of_limited_size(tmp_path, monkeypatch):
    monkeypatch.setattr("tokenvis.explorer.page.SPANS_PER_BLOCK", 1)
    first = contents(write_page(SPANS, tmp_path / "a.html"))["contents"][0]
    assert (first["chunk"], [name for name in first["blocks"] if name.startswith("details")]) == (1, ["details-0", "details-1"])


def test_ingested_spans_make_a_page(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"id":"x","trace_id":"t","agent_id":"ann","location_id":"desk","start_time":0,"end_time":5}\n'
    )
    assert write_page(ingest(tmp_path / "a.jsonl", store=tmp_path / "a.db").spans(), tmp_path / "a.html").n_spans == 1


def test_the_name_of_a_trace_is_text(tmp_path):
    spans = SPANS.assign(trace_name=SPANS["trace_id"].map({"t": SECRET + "!" * 300, "u": "u"}))
    names = {
        content: contents(write_page(spans, tmp_path / f"{content}.html", content=content).path)["opening"]["traces"]
        for content in ("none", "short", "full")
    }
    assert [len(trace.get("name", "")) for trace in (names[content][0] for content in names)] == [
        0,
        201,
        317,
    ]  # an ellipsis more
    assert [trace.get("name") for trace in (names[content][1] for content in names)] == [None, None, None]
    assert SECRET not in (tmp_path / "none.html").read_text()
