import errno
import gzip
import itertools
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import test_langfuse
import test_mlflow
import test_otlp
import test_phoenix
import test_python_sdk
from claude_sessions import agent, at, call, prompt, reply, report_lines, result, span_texts, write
from files import write_file
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tokenvis import BadOption, IngestError, expand_data, export, ingest, load_spans, load_traces, self_spans
from tokenvis.formats.registry import FORMATS
from tokenvis.spans.columns import require

SESSION = [prompt(0, "go"), reply(2, "m1", "hi", call("t1")), result(5, "t1"), reply(6, "m2", "done")]
SPANS = ["main model:opus 0-2", "main tool:Bash 2-5", "main model:opus 5-6"]


def counts(report):
    return [(written.trace_id, written.added, written.updated, written.unchanged) for written in report.written]


def problems(report):
    return [str(problem) for problem in report.problems]


def error_of(path, **options):
    with pytest.raises(IngestError) as caught:
        ingest(path, **options)
    return str(caught.value)


def test_the_report_as_text():
    write("s1.jsonl", *SESSION, "{", {"type": "mode"}, reply(7, "m3", call("t2")))
    agent("a1", reply(8, "m4", "x" * 201))
    assert str(ingest("s1.jsonl", content="short")) == "\n".join(
        [
            f"Database: {Path('sqlite.db').absolute()}",
            "Read: Claude Code sessions, 2 files",
            "Trace 's1' (go): 6 spans added, 0 updated, 0 unchanged",
            "6 spans, 2 agents, 2 locations",
            "Estimated values: 4 (missing in the source; see `estimated` in data)",
            'Without an end: 1 (closed at the last time seen; `status` is "open")',
            "Texts shortened or removed: 1",
            "Skipped:",
            "  lines of type 'mode': 1",
            "Problems:",
            "  s1.jsonl, line 5: not JSON from character 2 on.",
        ]
    )


def test_a_long_list_in_a_report_is_cut():
    write("s1.jsonl", *SESSION, *["5"] * 20)
    report = ingest("s1.jsonl")
    assert repr(report) == str(report)
    assert str(report).splitlines()[-2:] == ["  s1.jsonl, line 16: is of type int, not an object.", "  and 8 more"]


def test_the_frame_of_a_report_is_that_of_its_traces():
    ingest(write("s0.jsonl", *SESSION, session="s0"))
    report = ingest(write("s1.jsonl", *SESSION))
    assert_frame_equal(report.spans(), load_spans("s1"))
    assert report_lines(report) == SPANS


def test_ingesting_again_changes_nothing():
    write("s1.jsonl", *SESSION)
    before = ingest("s1.jsonl")
    spans = before.spans()
    again = ingest("s1.jsonl")
    assert (counts(before), counts(again)) == ([("s1", 3, 0, 0)], [("s1", 0, 0, 3)])
    assert_frame_equal(again.spans(), spans)


def test_a_session_that_has_grown_adds_what_is_new_and_closes_what_was_open():
    write("s1.jsonl", *SESSION[:2])
    assert span_texts() == ["main model:opus 0-2", "main tool:Bash 2-2 open"]
    write("s1.jsonl", *SESSION)
    report = ingest("s1.jsonl")
    assert report_lines(report) == SPANS
    assert counts(report) == [("s1", 1, 1, 1)]


def test_a_session_that_was_cut_loses_nothing():
    write("s1.jsonl", *SESSION)
    ingest("s1.jsonl")
    write("s1.jsonl", *SESSION[:2], reply(9, "m3", "new"))
    assert span_texts() == ["main model:opus 0-2", "main tool:Bash 2-5", "main model:opus 2-9", "main model:opus 5-6"]


def test_only_the_database_is_written():
    write("in/s1.jsonl", *SESSION)
    agent("a1", *SESSION, folder="in/s1/subagents")
    before = sorted(Path("in").rglob("*"))
    ingest("in", store="out.db")
    assert sorted(Path("in").rglob("*")) == before
    assert {path.name for path in Path.cwd().iterdir()} - {"out.db-wal", "out.db-shm"} == {"in", "out.db"}


def test_two_sessions_in_a_folder_are_two_traces_each_read_once():
    write("in/s1.jsonl", *SESSION)
    agent("a1", reply(3, "m9", "hi"), folder="in/s1/subagents")
    write("in/deep/s2.jsonl", *SESSION, session="s2")
    agent("b1", reply(3, "m9", "hi"), folder="in/deep", session="s2")
    write("in/notes.jsonl", '{"a": 1}')
    report = ingest("in")
    assert sorted(counts(report)) == [("s1", 4, 0, 0), ("s2", 4, 0, 0)]
    assert report.n_agents == 3
    assert len(report.formats) == 4
    assert report.skipped == {"files of unknown format": 1}


def test_the_files_of_a_table_of_delta_are_not_read_since_some_have_deleted_rows():
    write("in/s1.jsonl", *SESSION)
    write("in/lake/part-0.jsonl", *SESSION, session="s2")
    Path("in/lake/_delta_log").mkdir()
    report = ingest("in")
    assert [line[0] for line in counts(report)] == ["s1"]
    assert [str(problem) for problem in report.problems] == [
        "lake: is a Delta table, and was not read: some of its files have rows that were deleted."
    ]


# Damage.

DAMAGE = {
    "not JSON": ("}", "not JSON from character 1 on"),
    "cut off": ('{"type": "user", "mes', "not JSON from character 18 on"),
    "not UTF-8": (b'{"type": "us\xff"}', "invalid UTF-8 was replaced by U+FFFD"),
    "NaN": ('{"type": NaN}', "NaN is not valid JSON, replaced by null"),
    "NaN, escaped": ('{"type": "\\ud800", "x": NaN}', "NaN is not valid JSON, replaced by null"),
    "deep": ('{"a":' * 2000 + "1" + "}" * 2000, "nested more than 200 levels deep, replaced by null there"),
    "deep, escaped": ('{"\\ud800":' * 2000, "cannot be read (nested more than 200 levels deep)"),
    "array": ("[]", "is of type list, not an object"),
    "no timestamp": ({"type": "user", "message": {}}, "'timestamp' is missing"),
    "bad timestamp": (
        {**prompt(0, "x"), "timestamp": "noon"},
        "invalid value (Invalid isoformat string: 'noon')",
    ),
    "timestamp a number": ({**prompt(0, "x"), "timestamp": 5}, "invalid value ('timestamp' is of type int)"),
    "no message": ({"type": "user", "timestamp": at(0)}, "'message' is missing"),
    "message a text": ({**prompt(0, "x"), "message": "x"}, "invalid value ('message' is of type str)"),
    "content a number": (prompt(0, 5), "invalid value ('content' is of type int)"),
    "type a list": ({"type": ["user"]}, "invalid value ('type' is of type list)"),
    "id a list": (reply(0, ["m1"], "x"), "invalid value ('id' is of type list)"),
    "model an object": (reply(0, "m9", "x", model={"a": 1}), "invalid value ('model' is of type dict)"),
    "agent a number": ({**reply(3, "m9", isSidechain=True), "agentId": 5}, "invalid value ('agentId' is of type int)"),
    "sidechain without uuid": ({**reply(3, "m9"), "isSidechain": True, "uuid": None}, "'uuid' is missing"),
    "title a number": ({"type": "ai-title", "aiTitle": 5}, "invalid value ('aiTitle' is of type int)"),
    "echo": ({"type": "progress", "data": []}, "invalid value ('data' is of type list)"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_reported_and_the_rest_is_kept(line, reason):
    write("s1.jsonl", *SESSION[:1], line, *SESSION[1:])
    report = ingest("s1.jsonl")
    assert problems(report) == [f"s1.jsonl, line 2: {reason}."]
    assert report_lines(report) == SPANS


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"type": "tool_use", "name": "Bash"}, "'id' is missing"),
        ({"type": "tool_use", "name": "Bash", "id": ""}, "'id' is missing"),
        ({"type": "tool_use", "id": "t9"}, "'name' is missing"),
        ({"type": "tool_use", "id": 9, "name": "Bash"}, "invalid value ('id' is of type int)"),
        ({"type": "tool_use", "id": "t9", "name": ["Bash"]}, "invalid value ('name' is of type list)"),
        ({"type": "text", "text": 5}, "invalid value ('text' is of type int)"),
    ],
)
def test_a_damaged_block_leaves_the_others_of_its_line(block, reason):
    write("s1.jsonl", prompt(0, "go"), reply(2, "m1", block, "hi", call("t1")), result(5, "t1"), reply(6, "m2", "done"))
    report = ingest("s1.jsonl")
    assert problems(report) == [f"s1.jsonl, line 2: {reason}."]
    assert report_lines(report) == SPANS


def test_a_byte_order_mark_and_empty_lines_are_no_damage():
    path = write("s1.jsonl", *SESSION)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    report = ingest("s1.jsonl")
    assert (report_lines(report), problems(report)) == (SPANS, [])


def test_half_a_surrogate_pair_is_replaced():
    write(
        "s1.jsonl",
        json.dumps({**reply(2, "m1", "a\ud83d"), "uuid": "u"}),
        json.dumps({"type": "ai-title", "aiTitle": "b\ud800"}),
    )
    report = ingest("s1.jsonl")
    assert json.loads(report.spans()["data"].item())["label"] == "a\ufffd"
    assert load_traces()["name"].tolist() == ["b\ufffd"]


def test_the_deepest_that_is_read_can_be_stored():
    write("s1.jsonl", reply(2, "m1", call("t1", input=json.loads("[" * 190 + '"[{[["' + "]" * 190))))
    assert problems(ingest("s1.jsonl")) == []


def test_brackets_in_texts_are_not_depth():
    write("s1.jsonl", reply(2, "m1", "[" * 999 + '"' + "{\\" * 999))
    assert span_texts() == ["main model:opus 2-2"]


def test_counts_that_are_no_whole_numbers_are_not_taken():
    line = reply(2, "m1", "hi")
    line["message"]["usage"] = {"input_tokens": "5", "output_tokens": True, "cache_read_input_tokens": 2**64 - 1}
    write("s1.jsonl", line)
    attributes = json.loads(ingest("s1.jsonl").spans()["data"].item())["attributes"]
    assert {key: count for key, count in attributes.items() if "usage" in key} == {
        "gen_ai.usage.input_tokens": 2**64 - 1,
        "gen_ai.usage.cache_read.input_tokens": 2**64 - 1,
    }


def test_an_id_of_a_tool_and_of_a_message_may_be_the_same():
    write("s1.jsonl", reply(2, "x", call("x"), call("t1")), result(3, "x"))
    report = ingest("s1.jsonl")
    assert report.spans()["id"].tolist() == ["s1/x", "s1/t1"]
    assert report.skipped == {"repeated calls": 1, "results of missing calls": 1}


def test_a_subagent_that_cannot_be_read_is_a_problem():
    write("s1.jsonl", *SESSION)
    Path("s1/subagents/agent-a1.jsonl").mkdir(parents=True)
    report = ingest("s1.jsonl")
    assert report_lines(report) == SPANS
    assert problems(report) == ["agent-a1.jsonl: cannot be read (Is a directory)."]


def test_a_trace_that_the_store_refuses_is_a_problem():
    ingest(write("a.jsonl", reply(2, "b/c", "hi"), session="a"))
    report = ingest(write("other.jsonl", reply(2, "c", "hi"), session="a/b"))
    assert problems(report) == ["other.jsonl: span 'a/b/c' already belongs to trace 'a'."]
    assert (report.n_spans, len(report.spans())) == (0, 0)


def test_a_session_without_calls_is_a_problem():
    report = ingest(write("s1.jsonl", prompt(0, "go")))
    assert problems(report) == ["s1.jsonl: contains no model or tool calls."]
    assert len(report.spans()) == 0


@pytest.mark.parametrize(
    "name", ["a b", "ümläut 🙂", "$x$<script>", "'; DROP TABLE spans; --", "x" * 240, "..", "a/../b", "\n"]
)
def test_hostile_names(name):
    path = write("agent-s.jsonl", prompt(0, name), reply(2, "m1", call(name, name)), session=name)
    report = ingest(path)
    assert report.names.keys() == {name}
    assert set(report.spans()["trace_id"]) == {name}
    assert report.spans()["location_id"].tolist() == ["model:opus", f"tool:{name}"]


# What is no session.

KNOWN = "Known formats: " + ", ".join(f"{reader.NAME} ({name})" for name, reader in FORMATS.items()) + "."


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "empty"),
        (b"hello\n", "text"),
        (b"\x00\xff" * 5000, "binary"),
        (b'{"a": 1}\n', "a JSON document with the keys 'a'"),
        (b"[]\n", "a JSON document"),
        (b'{"type": ["user"], "uuid": "x"}\n{}', "JSON lines with the keys 'type', 'uuid'"),
    ],
)
def test_a_file_in_no_known_format(text, what):
    Path("notes.jsonl").write_bytes(text)
    assert error_of("notes.jsonl") == f"notes.jsonl has no known format: it looks like {what}. {KNOWN}"
    assert not Path("sqlite.db").exists()


def test_a_folder_without_sessions():
    Path("in").mkdir()
    assert error_of("in") == "No file in in can be read: the folder is empty."
    Path("in/a.jsonl").write_text("{}")
    Path("in/b.jsonl").write_text("{}")
    looks = "a.jsonl looks like a JSON document; b.jsonl looks like a JSON document"
    assert error_of("in") == f"None of the 2 files in in has a known format: {looks}. {KNOWN}"


def test_a_path_that_is_not_there():
    assert error_of(None) == "None is not a path, an open file or a DataFrame."
    assert error_of("nowhere.jsonl") == "There is no file or folder nowhere.jsonl."
    Path("file").touch()
    assert error_of("file/in.jsonl") == "There is no file or folder file/in.jsonl."
    assert error_of("") == f"file has no known format: it looks like empty. {KNOWN}"
    long = "x" * 300
    assert error_of(long) == f"'{'x' * 60}'… (300 characters) cannot be read: File name too long."
    assert error_of("~no-such-user/x") == "'~no-such-user/x' cannot be read: Could not determine home directory."
    assert error_of("a\0b") == "There is no file or folder a\\x00b."


def test_a_file_that_may_not_be_read(monkeypatch):
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    write("s1.jsonl", *SESSION)
    monkeypatch.setattr(Path, "open", refuse)
    assert error_of("s1.jsonl") == "s1.jsonl cannot be read: Permission denied."


def test_a_choice_that_is_none():
    with pytest.raises(BadOption, match=r"^content='some' is not one of 'full', 'short', 'none'\.$"):
        ingest("s1.jsonl", content="some")


# Any damage at all ends in spans and problems, or in one IngestError.

WHOLE = [
    {"type": "ai-title", "aiTitle": "title", "sessionId": "s1"},
    prompt(0, "go", sessionId="s1", uuid="u0"),
    reply(2, "m1", "hi", call("t1", "Task", subagent_type="Explore", prompt="look")),
    reply(3, "m2", "side", isSidechain=True, agentId="a2", parentUuid="x"),
    result(5, "t1", "agentId: a1", toolUseResult={"agentId": "a1", "runId": "wf_x", "workflowName": "w"}),
    {"type": "progress", "timestamp": at(5), "parentToolUseID": "t1", "data": {"type": "agent_progress", "agentId": "a1"}},
    reply(6, "m3", call("t2", "Bash", command="ls")),
]
VALUES = st.sampled_from(
    [None, True, 0, -1, 2**64 - 1, 10**30, 1.5, 1e308, "", "x", "t1", "m1", "../x", "\0", "\ud800", "0001-01-01T00:00+23:59",
     [], [1], ["x"], [[]], {}, {"a": 1}, [{"type": "tool_use"}], [{"type": "text", "text": []}], [{"type": "tool_result"}]]
)  # fmt: skip


def places(value, here=()):
    """The path of every value inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, inner in items:
        yield (*here, key)
        yield from places(inner, (*here, key))


def replaced(lines, place, value):
    lines = json.loads(json.dumps(lines))
    target = lines
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return lines


def survives(main, sub, meta, folder):
    path = write(folder / "s1.jsonl", *main)
    write(folder / "s1/subagents/agent-a1.jsonl", *sub).with_suffix(".meta.json").write_bytes(meta)
    for content in ("full", "none"):
        try:
            report = ingest(path, content=content, store=folder / f"{content}.db")
        except IngestError:
            continue
        spans = report.spans()
        require(spans)
        self_spans(spans)
        assert len(spans) == report.n_spans
        assert str(report)
        for data in spans["data"]:
            json.loads(data)


SUB = [prompt(3, "look", sessionId="s1", uuid="v0"), reply(4, "m9", call("t9", "Grep")), result(5, "t9")]
META = {"agentType": "Explore", "toolUseId": "t1"}


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(1, len(WHOLE)), st.integers(0, len(SUB))), max_size=3))
def test_a_session_that_was_read_while_it_grew_is_as_one_read_at_its_end(tmp_path_factory, sizes):
    folder = tmp_path_factory.mktemp("grow")
    for main, sub in [*sizes, (len(WHOLE), len(SUB))]:
        path = write(folder / "s1.jsonl", *WHOLE[:main])
        write(folder / "s1/subagents/agent-a1.jsonl", *SUB[:sub])
        report = ingest(path, store=folder / "grown.db")
    if all(here <= there for here, there in itertools.pairwise(sizes)):
        assert_frame_equal(report.spans(), ingest(path, store=folder / "once.db").spans())


@pytest.mark.laws
@given(st.data())
def test_values_of_other_types_are_survived(tmp_path_factory, data):
    session = [WHOLE, SUB, META]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([place for place in places(session) if len(place) > 1]))
        session = replaced(session, place, data.draw(VALUES))
    main, sub, meta = session
    texts = [[line if isinstance(line, dict) else json.dumps(line) for line in lines] for lines in (main, sub)]
    survives(*texts, json.dumps(meta).encode(), tmp_path_factory.mktemp("fuzz"))


@pytest.mark.laws
@given(
    st.permutations(range(len(WHOLE))),
    st.integers(0, len(WHOLE)),
    st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=2))),
)
def test_lines_dropped_repeated_swapped_and_bytes_flipped_are_survived(tmp_path_factory, order, count, flips):
    lines = [json.dumps({"uuid": f"u{number}", "sessionId": "s1", **line}).encode() for number, line in enumerate(WHOLE)]
    text = bytearray(b"\n".join([lines[number] for number in order[:count]] + lines[2:4]))
    for place, new in flips:
        place %= len(text)
        text[place : place + len(new)] = new
    survives([bytes(text)], SUB, b"{}", tmp_path_factory.mktemp("fuzz"))


# What the caller puts in place of the rules.

AGENT, CHAT, TOOL = test_otlp.AGENT, test_otlp.CHAT, test_otlp.TOOL
FETCH = test_otlp.sent(
    5,
    5,
    6,
    "execute_tool fetch",
    1,
    attributes=test_otlp.kv(
        gen_ai__tool__name="fetch", gen_ai__tool__call__arguments='{"url": "https://example.org:80/x", "file_path": "src/a.py"}'
    ),
)


def places_by(location, **options):
    write_file("x.jsonl", test_otlp.request(AGENT, CHAT, TOOL, FETCH))
    return ingest("x.jsonl", location=location, store=f"{location}.db"[:20], **options).spans()["location_id"].tolist()


@pytest.mark.parametrize("content", ["full", "none"])
def test_presets_of_locations(content):
    plain = ["model:opus", "agent", "tool:sh", "tool:fetch"]
    assert places_by(None, content=content) == places_by("tool", content=content) == plain
    assert places_by("kind", content=content) == ["model", "agent", "tool", "tool"]
    assert places_by("file", content=content) == [*plain[:3], "src/a.py"]
    assert places_by("folder", content=content) == [*plain[:3], "src"]
    assert places_by("host", content=content) == [*plain[:3], "example.org"]


def test_an_attribute_or_a_function_may_tell_the_agent():
    write_file("x.jsonl", test_otlp.request(AGENT, CHAT, TOOL))
    by_name = ingest("x.jsonl", agent="gen_ai.tool.name", store="a.db").spans()
    assert by_name["agent_id"].tolist() == ["shop", "shop", "sh"]  # the first two have none, so are of their service

    def agent(span):
        assert span.keys() == {"id", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data"}
        return "boss" if span["agent_id"] else None

    by_function = ingest("x.jsonl", agent=agent, location=lambda span: span["data"]["label"][:4], store="b.db").spans()
    assert set(by_function["agent_id"]) == {"boss"}
    assert by_function["location_id"].tolist() == ["chat", "invo", "exec"]


def test_a_rule_that_is_none():
    write_file("x.jsonl", test_otlp.request(AGENT))
    with pytest.raises(BadOption) as caught:
        ingest("x.jsonl", agent=5)
    assert str(caught.value) == "agent=5 is neither the name of an attribute nor a function of the span."
    with pytest.raises(BadOption) as caught:
        ingest("x.jsonl", location=lambda span: 5)
    assert str(caught.value).startswith("location= returned 5 for span ")
    with pytest.raises(ZeroDivisionError):
        ingest("x.jsonl", agent=lambda span: 1 / 0)
    with pytest.raises(BadOption, match=r"^format='word' is not one of "):
        ingest("x.jsonl", format="word")
    with pytest.raises(BadOption, match=r"^columns=5 is not a mapping from columns of spans to columns of the table\.$"):
        ingest("x.jsonl", columns=5)


# Whatever it comes in.


def test_a_zip_a_gz_a_stream_and_a_folder_of_all_are_read_alike():
    write("in/s1.jsonl", *SESSION)
    agent("a1", reply(3, "m9", "hi"), folder="in/s1/subagents")
    with zipfile.ZipFile("s.zip", "w") as archive:
        for path in sorted(Path("in").rglob("*.jsonl")):
            archive.write(path, path.relative_to("in"))
    Path("both").mkdir()
    Path("both/s.zip").write_bytes(Path("s.zip").read_bytes())
    write_file("both/o.jsonl.gz", gzip.compress(json.dumps(test_otlp.request(AGENT, CHAT)).encode()))
    for source in ("in", "s.zip"):
        report = ingest(source, store=f"{source}.db")
        assert counts(report) == [("s1", 4, 0, 0)]
        assert report.n_agents == 2
    report = ingest("both")
    assert sorted(one.added for one in report.written) == [2, 4]
    with Path("in/s1.jsonl").open("rb") as file:
        assert ingest(file, store="f.db").n_spans == 3


def test_one_bad_file_of_a_folder_does_not_keep_the_others_out():
    write("in/s1.jsonl", *SESSION)
    write_file("in/bad.gz", b"\x1f\x8bxxxx")
    write_file("in/t.csv", "agent_id,start_time\nann,5")
    report = ingest("in", columns=None)
    assert report.n_spans == 4
    assert [problem.split(" (")[0] for problem in problems(report)] == ["bad.gz: cannot be unpacked completely"]


def test_what_is_nested_too_deep_in_a_document_is_a_problem():
    deep = '{"stringValue": "x"}'
    for _ in range(2_000):
        deep = '{"arrayValue": {"values": [' + deep + "]}}"
    bad = json.dumps(test_otlp.request({**CHAT, "attributes": [{"key": "a", "value": "DEEP"}]}, AGENT), indent=1)
    write_file("x.json", bad.replace('"DEEP"', deep))
    report = ingest("x.json")
    assert report.n_spans == 2
    assert problems(report) == ["x.json, item 1: nested more than 200 levels deep, replaced by null there."]


def test_a_temporary_folder_that_is_full_is_an_error_of_ours(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write("s1.jsonl", *SESSION)
    monkeypatch.setattr("tokenvis.ingestion.assembly.Spool.write", refuse)
    assert error_of("s1.jsonl").endswith(" cannot be written: [Errno 28] No space left on device.")
    assert len(load_traces()) == 0


ASKS = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": "AskUserQuestion"}


def test_a_tool_that_asks_waits_for_the_user():
    write_file("asks.jsonl", test_otlp.request(test_otlp.sent(1, 1, 9, "ask", attributes=test_otlp.kv(**ASKS))))
    assert expand_data(ingest("asks.jsonl").spans(), ["waits_for"])["waits_for"].tolist() == ["user"]
    by_attribute = ingest("asks.jsonl", waits_for="gen_ai.operation.name", store="b.db").spans()
    assert expand_data(by_attribute, ["waits_for"])["waits_for"].tolist() == ["execute_tool"]
    by_default = ingest("asks.jsonl", waits_for=lambda span: None, store="c.db").spans()
    assert expand_data(by_default, ["waits_for"])["waits_for"].tolist() == ["user"]


@pytest.mark.parametrize("content", ["full", "short", "none"])
def test_a_span_that_does_not_wait_stays_so_in_an_export(content):
    write_file("asks.jsonl", test_otlp.request(test_otlp.sent(1, 1, 9, "ask", attributes=test_otlp.kv(**ASKS))))
    spans = ingest("asks.jsonl", waits_for=lambda span: "", content=content).spans()
    again = ingest(export(spans, "again.jsonl"), content=content, store="b.db").spans()
    for frame in (spans, again):
        assert json.loads(frame["data"].item())["waits_for"] is None


def test_a_column_of_truths_marks_the_waits_for_the_user():
    rows = [("true", 1, 1.0), ("TRUE", 1, 1.0), ("false", 0, 0.0), ("False", 0, 0.0)]
    texts = [f"ann,{start},{start + 1},{word},{digit},{number}" for start, (word, digit, number) in enumerate(rows)]
    write_file("x.csv", "agent_id,start_time,end_time,word,digit,number", *texts)
    for name in ("word", "digit", "number"):
        spans = ingest("x.csv", waits_for=name, store=f"{name}.db").spans()
        assert expand_data(spans, ["waits_for"])["waits_for"].fillna("work").tolist() == ["user", "user", "work", "work"]


def asking_files(tool):
    """A call of a tool, by format."""
    slice_names = [{"ph": "M", "name": "thread_name", "args": {"name": f"tool:{tool}"}}]
    return {
        "otlp": test_otlp.request(
            test_otlp.sent(1, 1, 9, "x", attributes=test_otlp.kv(**{**ASKS, "gen_ai__tool__name": tool}))
        ),
        "langfuse": test_langfuse.observation("a", 1, 9, tool, "TOOL"),
        "phoenix": test_phoenix.row(test_phoenix.A, 1, 9, tool, "TOOL"),
        "mlflow": {"info": test_mlflow.INFO, "data": {"spans": [test_mlflow.span(test_mlflow.A, 1, 9, tool, "TOOL")]}},
        "python_sdk": test_python_sdk.dumped(test_python_sdk.ROOT, 1, 9, "x", attributes={"gen_ai.tool.name": tool}),
        "chrome_trace": {"traceEvents": [*slice_names, {"ph": "X", "name": "x", "ts": 1, "dur": 8}]},
        "table": {"agent_id": "ann", "location_id": f"tool:{tool}", "start_time": 1, "end_time": 9},
    }


@pytest.mark.parametrize("format_name", asking_files(""))
def test_a_tool_that_asks_waits_in_every_format(format_name):
    for tool, waits_for in (("ask_user", ["user"]), ("search", [])):
        write_file(f"{tool}.jsonl", asking_files(tool)[format_name])
        report = ingest(f"{tool}.jsonl", format=format_name, store=f"{tool}.db")
        assert (report.problems, report.n_spans) == ([], 1)
        assert expand_data(report.spans(), ["waits_for"])["waits_for"].dropna().tolist() == waits_for


@pytest.mark.parametrize("content", ["short", "none"])
def test_waits_are_kept_without_texts(content):
    name = "eve " * 100
    row = {"agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}
    row |= {"waits_for": name, "waits_for_kind": "agent", "detached": False, "span_kind": "producer"}
    data = json.loads(ingest(pd.DataFrame([row]), content=content).spans()["data"].item())
    assert data == {"waits_for": name, "waits_for_kind": "agent", "detached": False, "span_kind": "producer"}


@pytest.mark.parametrize("option", ["agent", "location", "waits_for"])
def test_an_attribute_that_no_span_has_is_a_problem(option):
    write_file("spans.csv", "id,trace_id,agent_id,location_id,start_time,end_time,role\nn,t,ann,desk,0,5,cook\n")
    assert [str(problem) for problem in ingest("spans.csv", **{option: "rolle"}).problems] == [
        f"{option}='rolle': no span has a name in this attribute or column."
    ]
    assert ingest("spans.csv", **{option: "role"}).problems == []


@pytest.mark.parametrize(
    "document",
    [
        {"trace": {"id": "t", "projectId": "p", "timestamp": "2026-03-02T09:00:00Z"}, "observations": []},
        {"resourceSpans": []},
    ],
)
def test_a_file_without_spans_is_told(document):
    report = ingest(write_file("x.json", json.dumps(document)))
    assert (report.n_spans, problems(report)) == (0, ["x.json: contains no spans."])
